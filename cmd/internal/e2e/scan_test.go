//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	scanAll  = flag.Bool("scan", false, "scan a node with tools of others (make scan)")
	scanOnly = flag.String("scan.only", "", "part of the name of the tools to scan with")
	scanKeep = flag.String("scan.keep", "", "folder for what the tools say")
)

// scanLimit is how long one tool may take.
const scanLimit = 6 * time.Minute

// scan is one tool and how it is asked. read returns what it found.
type scan struct {
	name, program string
	args          []string
	read          func(out string) []string
}

// explained are findings that are none here, with the reason.
var explained = []struct {
	finding *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`^testssl BREACH:`), "what is compressed without a log-in is the same for everybody, and no answer has a secret beside a text of the asker"},
	{regexp.MustCompile(`^testssl (cert_revocation|cert_crlDistributionPoints|cert_ocspURL|OCSP_stapling):`), "the authority of a plant publishes no list: a certificate is replaced on the node"},
	{regexp.MustCompile(`^testssl DNS_CAArecord:`), "the node has an address and no name"},
	{regexp.MustCompile(`^nmap: .*/app\.(js|css)\?.*sqlspider$`), "the file is the same whatever the query: a word in it looks like a message of a database"},
	{regexp.MustCompile(`^wapiti HTTP Secure Headers: .*X-XSS-Protection`), "the filter it switches on was a hole of its own and is gone from browsers; the content policy does what it should have done"},
}

func explanation(finding string) string {
	for _, e := range explained {
		if e.finding.MatchString(finding) {
			return e.why
		}
	}
	return ""
}

// TestScan scans a real node with tools of others: what its TLS offers, its headers and methods, known holes of web
// servers, and the parameters of its API. A finding is none only when the reason stands above.
func TestScan(t *testing.T) {
	if !*scanAll {
		t.Skip("it takes minutes: make scan")
	}
	g := newGuarded(t)
	dir := *scanKeep
	if dir == "" {
		dir = t.TempDir()
	}
	for _, old := range []string{"testssl.json", "wapiti.json"} { // a tool that finds its report there does nothing
		_ = os.Remove(filepath.Join(dir, old))
	}
	for _, s := range g.scans(dir) {
		if strings.Contains(s.name, *scanOnly) {
			g.scan(s, dir)
		}
	}
}

// scan runs one tool and reports what it finds, and what of that is none.
func (g *guarded) scan(s scan, dir string) {
	path, err := exec.LookPath(s.program)
	if err != nil {
		g.t.Errorf("%s is not installed (make scan installs it)", s.program)
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), scanLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, s.args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil && err != nil {
		g.t.Errorf("%s: not done within %v", s.name, scanLimit)
	}
	if err := os.WriteFile(filepath.Join(dir, s.name+".txt"), out, 0o600); err != nil {
		g.t.Fatal(err)
	}
	found := s.read(string(out))
	g.t.Logf("%s: %d findings in %v: %.200s", s.name, len(found), time.Since(began).Round(time.Second), s.program+" "+strings.Join(s.args, " "))
	for _, f := range found {
		if why := explanation(f); why != "" {
			g.t.Logf("%s is explained: %s", f, why)
			continue
		}
		g.t.Errorf("%s", f)
	}
}

// tlsOfNobody is the quickest of the scans, where its tool is installed.
func (g *guarded) tlsOfNobody() {
	if _, err := exec.LookPath("sslscan"); err != nil {
		g.t.Skip("sslscan is not installed")
	}
	dir := g.t.TempDir()
	for _, s := range g.scans(dir) {
		if s.name == "sslscan" {
			g.scan(s, dir)
		}
	}
}

func (g *guarded) scans(dir string) []scan {
	address := fmt.Sprintf("127.0.0.1:%d", g.ports.HTTPA)
	urls := g.urls()
	wapiti := []string{"-u", g.secure("a") + "/", "--scope", "domain", "--verify-ssl", "0", "--flush-session", "--no-bugreport", "-f", "json", "-o", filepath.Join(dir, "wapiti.json"), "--max-scan-time", "240", "-t", "5", "-H", "Authorization: Bearer " + g.who.Token,
		"-m", "backup,blindsql,brute_login_form,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,ssrf,xss,xxe"}
	for _, u := range urls {
		wapiti = append(wapiti, "-s", u)
	}
	return []scan{
		{"sslscan", "sslscan", []string{"--no-colour", "--show-certificate", address}, readSSLScan},
		{"testssl", "testssl", []string{"--quiet", "--color", "0", "--warnings", "batch", "--add-ca", g.ca, "--severity", "LOW", "--jsonfile", filepath.Join(dir, "testssl.json"), address}, func(string) []string { return readTestSSL(filepath.Join(dir, "testssl.json")) }},
		{"nmap", "nmap", []string{"-Pn", "-n", "-sT", "-sV", "--version-light", "-p", strconv.Itoa(g.ports.HTTPA), "--script-timeout", "60s", "--script", forced(nmapScripts), "127.0.0.1"}, readNmap},
		{"nmap-opcua", "nmap", []string{"-Pn", "-n", "-sT", "-sV", "-p", fmt.Sprintf("%d,%d,%d", g.ports.UAA, g.ports.LanA, g.ports.DedA), "--script", "(ssl-* or sslv2* or vuln or default) and not (dos or external)", "--script-timeout", "60s", "127.0.0.1"}, readNmap},
		{"wapiti", "wapiti", wapiti, func(string) []string { return readWapiti(filepath.Join(dir, "wapiti.json")) }},
		{"sqlmap", "sqlmap", []string{"-u", g.secure("a") + "/api/v1/journal?text=x&user=olga&source=y&limit=10", "-H", "Authorization: Bearer " + g.who.Token, "--batch", "--flush-session", "--level", "2", "--risk", "2", "--threads", "4", "--output-dir", filepath.Join(dir, "sqlmap")}, readSQLMap},
	}
}

// nmapScripts are those that look for something a server of this kind could have.
const nmapScripts = "ssl-enum-ciphers ssl-cert ssl-heartbleed ssl-poodle ssl-ccs-injection ssl-dh-params ssl-known-key sslv2 sslv2-drown " +
	"http-security-headers http-methods http-trace http-cors http-cross-domain-policy http-server-header http-open-proxy http-passwd http-git http-svn-info http-enum http-config-backup http-backup-finder " +
	"http-internal-ip-disclosure http-shellshock http-method-tamper http-webdav-scan http-auth http-cookie-flags http-csrf http-dombased-xss http-stored-xss http-phpself-xss http-unsafe-output-escaping http-sql-injection " +
	"http-rfi-spider http-put http-aspnet-debug http-frontpage-login http-jsonp-detection http-vuln-cve2011-3192 http-vuln-cve2012-1823 http-vuln-cve2013-0156 http-vuln-cve2014-3704 http-vuln-cve2015-1427 http-vuln-cve2015-1635 http-vuln-cve2017-5638"

// forced has nmap run scripts at a port it knows no service of.
func forced(scripts string) string { return "+" + strings.ReplaceAll(scripts, " ", ",+") }

// urls are addresses with parameters for every operation that only reads.
func (g *guarded) urls() []string {
	g.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	if err := g.http(http.MethodGet, g.secure("a")+"/api/v1/openapi.json", g.who.Token, nil, &doc); err != nil {
		g.t.Fatal(err)
	}
	var list []string
	for path, item := range doc.Paths {
		get, ok := item["get"]
		if !ok || strings.HasSuffix(path, "/ws") || strings.HasSuffix(path, "/backup") {
			continue
		}
		u := g.secure("a") + strings.NewReplacer("{name}", "x").Replace(path)
		sep := "?"
		for _, p := range get.Parameters {
			if p.In == "query" {
				u += sep + p.Name + "=1"
				sep = "&"
			}
		}
		list = append(list, u)
	}
	slices.Sort(list)
	return list
}

var weakLine = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(SSLv2|SSLv3|TLSv1\.0|TLSv1\.1)\s+enabled.*`),
	regexp.MustCompile(`(?m)^.*Compression enabled.*`),
	regexp.MustCompile(`(?m)^.*Insecure session renegotiation.*`),
	regexp.MustCompile(`(?m)^TLSv1\.\d vulnerable to heartbleed.*`),
	regexp.MustCompile(`(?m)^(Accepted|Preferred).*(RC4|DES|NULL|EXP|ADH|AECDH|MD5|-SHA |SEED|CAMELLIA| (40|56|64|112) bits).*`),
	regexp.MustCompile(`(?m)^Signature Algorithm: .*(md5|sha1).*`),
}

func readSSLScan(out string) []string {
	if !strings.Contains(out, "TLSv1.3") || !strings.Contains(out, "Preferred") {
		return []string{"sslscan: it did not scan: " + out}
	}
	return matches("sslscan", out, weakLine)
}

func matches(tool, out string, weak []*regexp.Regexp) []string {
	var found []string
	for _, re := range weak {
		for _, line := range re.FindAllString(out, -1) {
			found = append(found, tool+": "+strings.TrimSpace(line))
		}
	}
	return found
}

func readTestSSL(file string) []string {
	var list []struct{ ID, Severity, Finding string }
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return []string{"testssl: " + err.Error()}
	}
	var found []string
	for _, f := range list {
		if slices.Contains([]string{"LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"}, f.Severity) {
			found = append(found, fmt.Sprintf("testssl %s: %s %s", f.ID, f.Severity, f.Finding))
		}
	}
	return found
}

var holeLine = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^.*State: (LIKELY )?VULNERABLE.*`),
	regexp.MustCompile(`(?m)^.*(sqlspider|Couldn't find X-Content|looks like it is an open proxy|Spidering limited .*XSS).*`),
	regexp.MustCompile(`(?m)^.*least strength: [B-F].*`),
	regexp.MustCompile(`(?m)^.*Potentially risky methods.*`),
	regexp.MustCompile(`(?m)^.*TRACE is enabled.*`),
	regexp.MustCompile(`(?m)^.*(SSLv2|SSLv3|TLSv1\.0|TLSv1\.1) supported.*`),
	regexp.MustCompile(`(?m)^\|\s+(TLSv1\.0|TLSv1\.1|SSLv3):.*`),
}

func readNmap(out string) []string {
	if !strings.Contains(out, "1 host up") || !strings.Contains(out, " open ") {
		return []string{"nmap: it did not scan: " + out}
	}
	return matches("nmap", out, holeLine)
}

func readWapiti(file string) []string {
	var report struct {
		Vulnerabilities, Anomalies map[string][]struct{ Path, Info, Parameter, Method string }
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		return []string{"wapiti: " + err.Error()}
	}
	var found []string
	for _, list := range []map[string][]struct{ Path, Info, Parameter, Method string }{report.Vulnerabilities, report.Anomalies} {
		for kind, items := range list {
			for _, f := range items {
				found = append(found, fmt.Sprintf("wapiti %s: %s %s %s %s", kind, f.Method, f.Path, f.Parameter, f.Info))
			}
		}
	}
	return found
}

func readSQLMap(out string) []string {
	if strings.Contains(out, "all tested parameters do not appear to be injectable") && !strings.Contains(out, "is vulnerable") {
		return nil
	}
	return []string{"sqlmap: " + out[max(0, len(out)-1500):]}
}
