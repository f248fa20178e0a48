package config

import (
	"encoding/json"
	"testing"
)

// TestNewSettingsLeaveTheDigestOfOldFilesAlone: nodes of two releases compare digests of the same file during an upgrade, so
// a setting that is not there may not be in what is hashed. The history of OPC UA devices was, and no node could be upgraded.
func TestNewSettingsLeaveTheDigestOfOldFilesAlone(t *testing.T) {
	for _, c := range []struct {
		section any
		newer   []string // settings that came after the digest of two releases was compared first
	}{
		{&file{}, []string{"Profiles", "TextFiles"}},
		{&opcuaDeviceFile{}, []string{"History"}},
		{&deviceFile{}, []string{"Profile"}},
		{&modbusFile{}, []string{"NeverGap", "MaxBlock", "WriteMultiple"}},
		{&userFile{}, []string{"Areas"}},
		{&historyFile{}, []string{"Export", "Backfill", "WhenFull"}},
		{&webFile{}, []string{"TLS", "Insecure", "OIDC"}},
	} {
		text, err := json.Marshal(c.section)
		if err != nil {
			t.Fatal(err)
		}
		var hashed map[string]json.RawMessage
		if err := json.Unmarshal(text, &hashed); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.newer {
			if _, there := hashed[name]; there {
				t.Errorf("%T: %s is hashed although it is not set: %s", c.section, name, text)
			}
		}
	}
}
