// Package uitest drives the dashboard in a real Chromium as an operator does: it logs in, clicks, types, looks, and collects
// what the page complains of. Only tests import it.
package uitest
