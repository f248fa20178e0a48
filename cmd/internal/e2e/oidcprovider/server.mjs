// A real OpenID provider with two people: otto has a role in the plant, nora has none. It prints its issuer and serves until
// it is ended. Arguments: the secret of the client, then the web addresses of the nodes.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [secret, ...origins] = process.argv.slice(2);
const groups = { otto: ["plant-operators", "everybody"], nora: ["everybody"] };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  // Another site than the nodes, which are at 127.0.0.1: cookies tell them apart.
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "scada",
      client_secret: secret,
      redirect_uris: origins.map((o) => `${o}/api/v1/session/oidc/callback`),
      post_logout_redirect_uris: origins.map((o) => `${o}/`),
    }],
    claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
    scopes: ["openid", "profile", "groups"],
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: groups[id] ?? [] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
