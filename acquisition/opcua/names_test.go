package opcua

import (
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// TestQualitiesHaveTheNamesOfOPCUA holds every name of a quality against the library's list of status codes.
func TestQualitiesHaveTheNamesOfOPCUA(t *testing.T) {
	named := 0
	for code, described := range ua.StatusCodes {
		name := tag.Quality(code).String()
		if strings.Contains(name, "_0x") || tag.Quality(code).Code() != tag.Quality(code) {
			continue
		}
		named++
		if want := strings.ReplaceAll(described.Name, "ID", "Id"); strings.ReplaceAll(name, "_", "") != strings.TrimPrefix(want, "Status") && want != "OK" {
			t.Errorf("%#x is %s, OPC UA says %s", uint32(code), name, described.Name)
		}
	}
	if named < 70 {
		t.Errorf("only %d codes have a name", named)
	}
}
