package history

import "fmt"

var kindNames = [kindEnd]string{
	"interpolative", "average", "timeaverage", "total", "minimum", "maximum", "minimumtime", "maximumtime", "range", "count",
	"start", "end", "delta", "durationgood", "durationbad", "percentgood", "percentbad", "transitions", "standarddeviation", "worstquality",
}

// String returns the name used in requests.
func (k Kind) String() string {
	if k >= 0 && k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// ParseKind returns the aggregate with the given name.
func ParseKind(s string) (Kind, error) {
	for k, name := range kindNames {
		if name == s {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown aggregate %q (one of %v)", s, kindNames)
}
