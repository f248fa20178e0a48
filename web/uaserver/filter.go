package uaserver

import (
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/monitor"
)

func qualityOf(status ua.StatusCode) tag.Quality { return tag.Quality(status) }

// target is what a monitored item watches.
type target struct {
	tag     tag.ID
	isValue bool // the value of the tag
	attr    ua.AttributeID
}

// parameters checks the wishes for a monitored item.
func (k *call) parameters(p *ua.MonitoringParameters, to target) (monitor.Spec, ua.StatusCode) {
	spec := monitor.Spec{
		ClientHandle: p.ClientHandle, Sampling: p.SamplingInterval, Queue: p.QueueSize, KeepNewest: p.DiscardOldest,
		Trigger: ua.DataChangeTriggerStatusValue,
	}
	if to.isValue {
		spec.Least = k.rev.space.Definition(to.tag).Deadband
	}
	switch f := p.Filter.Value.(type) {
	case nil:
		if p.Filter.EncodingMask != ua.ExtensionObjectEmpty {
			return spec, ua.StatusBadMonitoredItemFilterUnsupported
		}
		return spec, ua.StatusOK
	case *ua.DataChangeFilter:
		if to.attr != ua.AttributeIDValue {
			return spec, ua.StatusBadFilterNotAllowed
		}
		if f.Trigger > ua.DataChangeTriggerStatusValueTimestamp {
			return spec, ua.StatusBadMonitoredItemFilterInvalid
		}
		spec.Trigger = f.Trigger
		deadband, status := k.deadband(f, to)
		spec.Deadband = deadband
		return spec, status
	}
	return spec, ua.StatusBadMonitoredItemFilterUnsupported
}

// deadband returns the absolute deadband a filter asks for. A tag's own deadband counts besides it: a change smaller
// than that is not one to anybody.
func (k *call) deadband(f *ua.DataChangeFilter, to target) (float64, ua.StatusCode) {
	if ua.DeadbandType(f.DeadbandType) == ua.DeadbandTypeNone {
		return 0, ua.StatusOK
	}
	if !to.isValue {
		return 0, ua.StatusBadFilterNotAllowed
	}
	def := k.rev.space.Definition(to.tag)
	if !def.Type.IsInteger() && !def.Type.IsFloat() {
		return 0, ua.StatusBadFilterNotAllowed
	}
	if !finite(f.DeadbandValue) || f.DeadbandValue < 0 {
		return 0, ua.StatusBadDeadbandFilterInvalid
	}
	switch ua.DeadbandType(f.DeadbandType) {
	case ua.DeadbandTypeAbsolute:
		return f.DeadbandValue, ua.StatusOK
	case ua.DeadbandTypePercent:
		if def.Range.IsZero() {
			return 0, ua.StatusBadMonitoredItemFilterUnsupported // a percentage of what?
		}
		if f.DeadbandValue > 100 {
			return 0, ua.StatusBadDeadbandFilterInvalid
		}
		return f.DeadbandValue / 100 * (def.Range.High - def.Range.Low), ua.StatusOK
	}
	return 0, ua.StatusBadDeadbandFilterInvalid
}
