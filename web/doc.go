// Package web is the server's face to people and scripts: HTTP with JSON, the WebSocket of the dashboard (PROTOCOL.md),
// users and sessions, health checks and metrics.
//
// What the node is and does comes through [Backend], which the composition root implements. Nothing is served without
// a permission: there is one table of routes, each with the permission it needs, and a test that walks it.
package web
