// Package oidc asks a provider of OpenID Connect who a person is: the authorization code flow with PKCE, as its client.
//
// A [Client] finds the provider when somebody wants to log in, not before: a provider that is down keeps nobody from
// starting. [Client.Begin] says where to send the browser, [Client.Finish] turns the code it comes back with into an
// [Identity], and [Client.Logout] says where to end the session at the provider. What has to be remembered in between
// ([Flow]) is the caller's.
//
// Nothing the provider says is believed that is not signed with its keys, or fetched from the addresses of its own
// description: issuer, audience, nonce, times and signature of the ID token are checked, tokens without a signature are
// none.
package oidc
