package alarms_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/alarms"
)

func TestConfigurationErrors(t *testing.T) {
	with := func(change func(*alarms.Definition)) []alarms.Definition {
		d := level("T.X", "T", 80)
		change(&d)
		return []alarms.Definition{d}
	}
	lim := func(pairs map[alarms.Level]float64) map[alarms.Level]alarms.Limit {
		m := map[alarms.Level]alarms.Limit{}
		for l, v := range pairs {
			m[l] = alarms.Limit{Value: v}
		}
		return m
	}
	type def = alarms.Definition
	for _, c := range []struct {
		field, want string
		defs        []alarms.Definition
	}{
		{"id", `duplicate or empty alarm id "T.X"`, append(with(func(*def) {}), with(func(*def) {})...)},
		{"id", `duplicate or empty alarm id ""`, with(func(d *def) { d.ID = "" })},
		{"id", `duplicate or empty alarm id "T.X/Hi"`, append(with(func(d *def) { d.ID = "T.X/Hi" }), with(func(d *def) { d.NonExclusive = true })...)},
		{"id", "the id has 249 bytes, the limit is 248", with(func(d *def) { d.ID = strings.Repeat("i", alarms.MaxID-7) })},
		{"tag", "a name has 257 bytes, the limit is 256", with(func(d *def) { d.Tag = strings.Repeat("t", alarms.MaxID+1) })},
		{"text", "text and guidance have at most 1024 bytes", with(func(d *def) { d.Text = strings.Repeat("t", alarms.MaxText+1) })},
		{"tag", "T.X: tag is missing", with(func(d *def) { d.Tag = "" })},
		{"type", "type is missing or unknown", with(func(d *def) { d.Type, d.Limits = 0, nil })},
		{"limits", "T.X: limits are missing", with(func(d *def) { d.Limits = nil })},
		{"limits", "a level alarm has no limit RocHi", with(func(d *def) { d.Limits[alarms.LevelRocHi] = alarms.Limit{} })},
		{"limits", "Hi must be a number", with(func(d *def) { d.Limits = lim(map[alarms.Level]float64{alarms.LevelHi: math.NaN()}) })},
		{"limits", "T.X: Lo must be below Hi", with(func(d *def) { d.Limits = lim(map[alarms.Level]float64{alarms.LevelLo: 80, alarms.LevelHi: 20}) })},
		{"limits", "T.X: Hi must be below HiHi", with(func(d *def) { d.Limits = lim(map[alarms.Level]float64{alarms.LevelHi: 80, alarms.LevelHiHi: 80}) })},
		{"deadband", "T.X: HiHi - deadband must stay above Hi: 90 - 10 is not above 80", with(func(d *def) {
			d.Limits, d.Deadband = lim(map[alarms.Level]float64{alarms.LevelHi: 80, alarms.LevelHiHi: 90}), 10
		})},
		{"deadband", "T.X: LoLo + deadband must stay below Lo: 10 + 10 is not below 20", with(func(d *def) {
			d.Limits, d.Deadband = lim(map[alarms.Level]float64{alarms.LevelLoLo: 10, alarms.LevelLo: 20}), 10
		})},
		{"deadband", "T.X: Hi - deadband must stay above Lo", with(func(d *def) {
			d.Limits = lim(map[alarms.Level]float64{alarms.LevelLo: 20, alarms.LevelHi: 80})
			d.Deadbands = map[alarms.Level]float64{alarms.LevelHi: 60}
		})},
		{"deadband", "the deadband must not be negative", with(func(d *def) { d.Deadband = -1 })},
		{"on_delay", "on_delay must be between 0", with(func(d *def) { d.OnDelay = -1 })},
		{"off_delays", "off_delays must be between 0", with(func(d *def) {
			d.OffDelays = map[alarms.Level]time.Duration{alarms.LevelHi: alarms.MaxDelay + 1}
		})},
		{"realarm", "realarm must be 0 or at least a second", with(func(d *def) { d.Realarm = time.Millisecond })},
		{"setpoint", "a deviation alarm needs a setpoint", with(func(d *def) { d.Type = alarms.TypeDeviation })},
		{"limits", "Hi must be positive", with(func(d *def) {
			d.Type, d.Setpoint, d.Limits = alarms.TypeDeviation, "S", lim(map[alarms.Level]float64{alarms.LevelHi: 0})
		})},
		{"limits", "Lo must be negative", with(func(d *def) {
			d.Type, d.Setpoint, d.Limits = alarms.TypeDeviation, "S", lim(map[alarms.Level]float64{alarms.LevelLo: 5})
		})},
		{"setpoint", "setpoint belongs to type deviation", with(func(d *def) { d.Setpoint = "S" })},
		{"max_gap", "a rate alarm needs a max_gap", with(func(d *def) {
			d.Type, d.Limits = alarms.TypeRoc, lim(map[alarms.Level]float64{alarms.LevelRocHi: 2})
		})},
		{"normal", "a discrete alarm needs its normal values", with(func(d *def) { d.Type, d.Limits = alarms.TypeDiscrete, nil })},
		{"normal", "257 normal values, the limit is 256", with(func(d *def) {
			d.Type, d.Limits, d.Normal = alarms.TypeDiscrete, nil, make([]float64, alarms.MaxNormal+1)
		})},
		{"mode", "mode nonexclusive needs limits", with(func(d *def) {
			d.Type, d.Limits, d.Normal, d.NonExclusive = alarms.TypeDiscrete, nil, []float64{0}, true
		})},
		{"target", "a discrepancy alarm needs a target", with(func(d *def) { d.Type, d.Limits, d.ExpectedTime = alarms.TypeDiscrepancy, nil, time.Second })},
		{"expected_time", "needs an expected_time", with(func(d *def) { d.Type, d.Limits, d.Target = alarms.TypeDiscrepancy, nil, "C" })},
		{"suppressed_by", `unknown alarm "NONE"`, with(func(d *def) { d.SuppressedBy = "NONE" })},
		{"suppressed_by", "leads back to the alarm itself", with(func(d *def) { d.SuppressedBy = "T.X" })},
		{"suppressed_by", "leads back to the alarm itself", append(with(func(d *def) { d.SuppressedBy = "T.Y" }), with(func(d *def) { d.ID, d.SuppressedBy = "T.Y", "T.X" })...)},
	} {
		err := alarms.Config{Alarms: c.defs}.Validate()
		var wrong *alarms.DefinitionError
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		} else if !errors.As(err, &wrong) || wrong.Field != c.field || wrong.Index >= len(c.defs) {
			t.Errorf("%v: %+v, want field %s", err, wrong, c.field)
		}
	}
	b := newBench(t, level("T.HI", "T", 80))
	b.see(1, "T", 85, 0)
	_, err := b.eng.Reload(instant(2), alarms.Config{Alarms: with(func(d *def) { d.Tag = "" })}, b.names.lookup, nil)
	if c, _ := b.eng.Condition("T.HI"); err == nil || c.State != alarms.StateUnack {
		t.Errorf("a wrong configuration was loaded: %v, %s", err, c.State)
	}
	_, err = alarms.New(alarms.Config{Alarms: with(func(*def) {})}, func(string) (tag.ID, bool) { return 0, false })
	if err == nil || !strings.Contains(err.Error(), `T.X: unknown tag "T"`) {
		t.Errorf("unknown tag: %v", err)
	}
}
