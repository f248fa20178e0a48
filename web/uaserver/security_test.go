package uaserver_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"

	"scada/acquisition/tag"
	"scada/web/uaserver"
)

func TestEveryPolicyAndMode(t *testing.T) {
	f := start(t, newPlant(5000), nil)
	f.set(speed, tag.Float64(7))
	for _, policy := range []string{
		ua.SecurityPolicyURIBasic256Sha256, ua.SecurityPolicyURIAes128Sha256RsaOaep, ua.SecurityPolicyURIAes256Sha256RsaPss,
	} {
		for _, mode := range []ua.MessageSecurityMode{ua.MessageSecurityModeSign, ua.MessageSecurityModeSignAndEncrypt} {
			t.Run(filepath.Base(policy)+mode.String(), func(t *testing.T) {
				c := f.connect(t, f.secure(t, policy, mode, "operator", "right")...)
				if v := readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue); v.Value.Float() != 7 {
					t.Errorf("read %v", v.Value.Value())
				}
				// Requests and responses of several chunks.
				req := &ua.ReadRequest{}
				for range 5000 {
					req.NodesToRead = append(req.NodesToRead, &ua.ReadValueID{NodeID: node("line1/pump1/speed"), AttributeID: ua.AttributeIDDescription})
				}
				resp, err := c.Read(limited(t), req)
				if err != nil || len(resp.Results) != 5000 || resp.Results[4999].Value.LocalizedText().Text != "drive" {
					t.Errorf("a read of 5000: %v", err)
				}
			})
		}
	}
}

func TestWrongPasswordIsRefused(t *testing.T) {
	f := start(t, newPlant(0), nil)
	for _, mode := range []ua.MessageSecurityMode{ua.MessageSecurityModeNone, ua.MessageSecurityModeSign, ua.MessageSecurityModeSignAndEncrypt} {
		policy := ua.SecurityPolicyURIBasic256Sha256
		if mode == ua.MessageSecurityModeNone {
			policy = ua.SecurityPolicyURINone
		}
		_, err := f.tryConnect(t, f.secure(t, policy, mode, "operator", "wrong")...)
		wantStatus(t, mode.String(), err, ua.StatusBadUserAccessDenied)
		if _, err := f.tryConnect(t, f.secure(t, policy, mode, "operator", "right")...); err != nil {
			t.Errorf("%s: the right password: %v", mode, err)
		}
	}
}

func TestPasswordInTheClearIsNotTaken(t *testing.T) {
	f := start(t, newPlant(0), nil)
	_, err := f.tryConnect(t, opcua.AuthUsername("operator", "right"), opcua.AuthPolicyID("username"))
	wantStatus(t, "a clear password on a clear channel", err, ua.StatusBadIdentityTokenRejected)
}

func TestWhatIsNotConfiguredIsNotOffered(t *testing.T) {
	f := start(t, newPlant(0), func(c *uaserver.Config) { c.AllowNone, c.AllowAnonymous = false, false })
	endpoints, err := opcua.GetEndpoints(limited(t), f.url)
	if err != nil || len(endpoints) != 6 {
		t.Fatalf("discovery must work all the same: %d endpoints, %v", len(endpoints), err)
	}
	for _, e := range endpoints {
		if e.SecurityMode == ua.MessageSecurityModeNone {
			t.Error("None is offered")
		}
		for _, p := range e.UserIdentityTokens {
			if p.TokenType == ua.UserTokenTypeAnonymous {
				t.Error("Anonymous is offered")
			}
		}
	}
	_, err = f.tryConnect(t)
	wantStatus(t, "a session without security", err, ua.StatusBadSecurityPolicyRejected)
	opts := f.secure(t, ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSignAndEncrypt, "operator", "right")
	_, err = f.tryConnect(t, f.secure(t, ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSignAndEncrypt, "", "")...)
	wantStatus(t, "an anonymous session", err, ua.StatusBadIdentityTokenRejected)
	f.connect(t, opts...)
}

func TestUntrustedCertificateIsKeptForTheAdministrator(t *testing.T) {
	pki := t.TempDir()
	trust, err := uaserver.OpenTrustList(pki, false)
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, newPlant(0), func(c *uaserver.Config) { c.Trust = trust })
	opts := f.secure(t, ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSignAndEncrypt, "operator", "right")
	if _, err := f.tryConnect(t, opts...); err == nil {
		t.Fatal("an unknown certificate opened a channel")
	}
	kept, err := filepath.Glob(filepath.Join(pki, "rejected", "*.der"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("rejected certificates: %v, %v", kept, err)
	}
	der, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := trust.Add(der); err != nil {
		t.Fatal(err)
	}
	f.connect(t, opts...)
}

// TestKeysAreRenewedWithoutLoss lives on keys of one second through several renewals, with a subscription running.
func TestKeysAreRenewedWithoutLoss(t *testing.T) {
	if raceDetector {
		t.Skip("the client library has a data race of its own while it renews keys")
	}
	f := start(t, newPlant(100), nil)
	opts := f.secure(t, ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSignAndEncrypt, "operator", "right")
	c := f.connect(t, append(opts, opcua.Lifetime(2*time.Second))...)
	w := f.watch(t, c, 50*time.Millisecond, items(100, 0, 1000)...)
	deadline := time.Now().Add(6 * time.Second)
	rounds := 0
	for ; time.Now().Before(deadline); rounds++ {
		for i := range 100 {
			f.set(number0+tag.ID(i), tag.Float64(float64(rounds)))
		}
		time.Sleep(20 * time.Millisecond)
		if rounds%10 == 0 {
			readOne(t, c, node("line1/pump1/speed"), ua.AttributeIDValue)
		}
	}
	w.until(t, func() bool {
		for h := range uint32(100) {
			if w.last(h) != float64(rounds-1) {
				return false
			}
		}
		return true
	})
	if lost := w.gaps(); lost > 0 {
		t.Errorf("%d values lost of %d rounds", lost, rounds)
	}
}

func TestCertificateIsMadeOnceAndChecked(t *testing.T) {
	dir := t.TempDir()
	first, err := uaserver.LoadOrCreateCertificate(dir, "urn:test:a", []string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := uaserver.LoadOrCreateCertificate(dir, "urn:test:a", nil)
	if err != nil || string(again.Certificate) != string(first.Certificate) || !again.Key.Equal(first.Key) {
		t.Errorf("a second start has another certificate: %v", err)
	}
	if _, err := uaserver.LoadOrCreateCertificate(dir, "urn:test:b", nil); err == nil {
		t.Error("the certificate of another application was taken")
	}
	if err := os.Rename(filepath.Join(dir, "own", "key.pem"), filepath.Join(dir, "own", "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := uaserver.LoadOrCreateCertificate(dir, "urn:test:a", nil); err == nil {
		t.Error("a certificate without its key was replaced")
	}
	if info, err := os.Stat(filepath.Join(dir, "own", "away")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
}

// TestServicesNeedASession sends requests with a null token, and with one of another channel.
func TestServicesNeedASession(t *testing.T) {
	f := start(t, newPlant(0), nil)
	for _, req := range []ua.Request{
		&ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/pump1/speed"), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}},
		&ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{NodeID: node("line1/pump1/speed"), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{}}}},
		&ua.CreateSubscriptionRequest{}, &ua.PublishRequest{}, &ua.DeleteMonitoredItemsRequest{SubscriptionID: 1, MonitoredItemIDs: []uint32{1}},
		&ua.SetMonitoringModeRequest{SubscriptionID: 9, MonitoredItemIDs: []uint32{9}},
	} {
		raw := rawChannel(t, f)
		if got := raw.call(t, req); got != ua.StatusBadSessionIDInvalid {
			t.Errorf("%T without a session: %v", req, got)
		}
		raw.close()
	}
}

// TestPasswordIsForOneSessionOnly repeats an encrypted password, as somebody who recorded it would.
func TestPasswordIsForOneSessionOnly(t *testing.T) {
	f := start(t, newPlant(0), nil)
	key := &certificateOf(t, "urn:test:a").Key.PublicKey
	algo, err := uapolicy.Asymmetric(ua.SecurityPolicyURIBasic256Sha256, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	var recorded []byte
	for i, want := range []ua.StatusCode{ua.StatusOK, ua.StatusBadIdentityTokenInvalid} {
		r := rawChannel(t, f)
		create := r.exchange(t, &ua.CreateSessionRequest{ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("raw")}}).(*ua.CreateSessionResponse)
		r.auth = create.AuthenticationToken
		if i == 0 {
			secret := binary.LittleEndian.AppendUint32(nil, uint32(len("right")+len(create.ServerNonce)))
			if recorded, err = algo.Encrypt(append(append(secret, "right"...), create.ServerNonce...)); err != nil {
				t.Fatal(err)
			}
		}
		got := r.call(t, &ua.ActivateSessionRequest{
			ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{},
			UserIdentityToken: ua.NewExtensionObject(&ua.UserNameIdentityToken{PolicyID: "username", UserName: "operator", Password: recorded, EncryptionAlgorithm: algo.EncryptionURI()}),
		})
		if got != want {
			t.Errorf("session %d: %v, want %v", i+1, got, want)
		}
	}
}

// TestTokens renews the token of a channel by hand.
func TestTokens(t *testing.T) {
	f := start(t, newPlant(0), nil)
	r := rawSession(t, f)
	read := &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}}
	ask := func(token uint32) (used uint32) {
		t.Helper()
		read.SetHeader(r.header())
		r.token = token
		r.write(t, r.message(encode(t, read)))
		return binary.LittleEndian.Uint32(r.frame(t)[12:])
	}
	first := r.token
	second := r.renew(t)
	if second == first {
		t.Fatal("the same token again")
	}
	if used := ask(first); used != first {
		t.Errorf("before the client uses the new token, the server used %d, want %d", used, first)
	}
	if used := ask(second); used != second {
		t.Errorf("after it, the server used %d, want %d", used, second)
	}
	if used := ask(first); used != second {
		t.Errorf("to a late request with the old token the server used %d, want %d", used, second)
	}
	third := r.renew(t)
	if used := ask(third); used != third {
		t.Errorf("after another renewal the server used %d, want %d", used, third)
	}
	read.SetHeader(r.header())
	r.token = first
	r.write(t, r.message(encode(t, read)))
	if s := r.refusal(t); s != ua.StatusBadSecureChannelTokenUnknown {
		t.Errorf("the token before the last two: %v", s)
	}
}

func TestReplayedChunkEndsTheConnection(t *testing.T) {
	f := start(t, newPlant(0), nil)
	r := rawSession(t, f)
	read := &ua.ReadRequest{NodesToRead: []*ua.ReadValueID{{NodeID: node("line1/text"), AttributeID: ua.AttributeIDValue, DataEncoding: &ua.QualifiedName{}}}}
	read.SetHeader(r.header())
	b := r.message(encode(t, read))
	r.write(t, b)
	r.frame(t)
	r.write(t, b)
	if s := r.refusal(t); s != ua.StatusBadSequenceNumberInvalid {
		t.Errorf("the same chunk again: %v", s)
	}
}
