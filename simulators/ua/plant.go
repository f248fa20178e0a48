package ua

import (
	"fmt"

	"scada/acquisition/tag"
	"scada/simulators/process"
)

// plantProcess shows one device of the plant.
type plantProcess struct {
	plant   *process.Plant
	sync    func()
	points  []tag.Definition
	indexes []int // in the plant, by point
}

// NewPlantProcess returns the process of a device of the plant whose points are nodes. sync is called before each
// access and brings the plant to the present.
func NewPlantProcess(plant *process.Plant, device string, sync func()) (Process, error) {
	p := &plantProcess{plant: plant, sync: sync}
	for i, point := range plant.Points() {
		if point.Device != device || point.Space != process.Node {
			continue
		}
		p.points = append(p.points, tag.Definition{
			ID: tag.ID(len(p.points)), Name: point.Node, Device: device, Type: point.Type, RawType: point.Type, Unit: point.Unit,
			Range: point.Range, Description: point.Description, Bits: point.States, Writable: point.Writable,
		})
		p.indexes = append(p.indexes, i)
	}
	if len(p.points) == 0 {
		return nil, fmt.Errorf("the plant has no OPC UA device %q", device)
	}
	return p, nil
}

// Points implements [Process].
func (p *plantProcess) Points() []tag.Definition { return p.points }

// Values implements [Process]: all values are of the same instant.
func (p *plantProcess) Values(dst []tag.Value) []tag.Value {
	p.sync()
	return p.plant.Raws(dst, p.indexes)
}

// Write implements [Process].
func (p *plantProcess) Write(id tag.ID, v tag.Value) error {
	p.sync()
	return p.plant.WriteRaws(p.indexes[id:id+1], []tag.Value{v})
}
