package wire

import (
	"encoding/binary"
	"slices"

	"scada/redundancy/role"
)

func (Hello) kind() Type         { return TypeHello }
func (Reject) kind() Type        { return TypeReject }
func (Beat) kind() Type          { return TypeBeat }
func (Goodbye) kind() Type       { return TypeGoodbye }
func (Open) kind() Type          { return TypeOpen }
func (SnapshotBegin) kind() Type { return TypeSnapshotBegin }
func (SnapshotPart) kind() Type  { return TypeSnapshotPart }
func (SnapshotEnd) kind() Type   { return TypeSnapshotEnd }
func (Records) kind() Type       { return TypeRecords }
func (Applied) kind() Type       { return TypeApplied }
func (Step) kind() Type          { return TypeStep }
func (Command) kind() Type       { return TypeCommand }
func (Result) kind() Type        { return TypeResult }

// magic begins every Hello, so that a stranger is recognised by its first bytes.
const magic = "SCDL"

func (m Hello) append(b []byte) []byte {
	b = append(b, magic...)
	b = u16(b, m.Protocol)
	b = append(b, byte(m.Purpose))
	b = u64(b, m.Incarnation, m.Known)
	b = text(b, m.Project, m.Version, m.Digest, m.Node)
	return texts(b, m.Areas)
}

func (m Reject) append(b []byte) []byte { return text(u64(b, m.Known), m.Reason) }

func (m Beat) append(b []byte) []byte {
	b = flags(b, m.Answer)
	b = u64(b, m.Seq, m.Request, m.Number, m.Echo, m.EchoIncarnation, uint64(m.Wall))
	b = text(b, m.Digest)
	b = u64(b, uint64(m.Score))
	b = texts(b, m.Reasons)
	b = texts(b, m.NotReady)
	progress := m.Progress[:min(len(m.Progress), MaxList)]
	b = u16(b, uint16(len(progress)))
	for _, p := range progress {
		b = u64(text(b, p.Name), p.Counter, uint64(p.Age))
	}
	areas := m.Areas[:min(len(m.Areas), MaxList)]
	b = u16(b, uint16(len(areas)))
	for _, a := range areas {
		b = a.append(b)
	}
	b = m.Switch.append(b)
	if !slices.ContainsFunc(areas, func(a Area) bool { return a.Told }) {
		return b // as a sender that knows nothing of losses, nor of what is behind them
	}
	b = u16(b, uint16(len(areas)))
	for _, a := range areas {
		b = u32(b, a.Lost)
	}
	b = u16(b, uint16(len(areas)))
	for _, a := range areas {
		b = u64(b, a.View.Acted)
	}
	return b
}

func (s Switch) append(b []byte) []byte {
	b = append(text(b, s.Area, s.From, s.To, s.Reason), byte(s.Kind))
	b = u64(b, uint64(s.At), s.Epoch, uint64(s.Detect), uint64(s.Activate), uint64(s.FirstValue))
	return u32(b, s.Missed, s.Duplicates)
}

func (a Area) append(b []byte) []byte {
	v := a.View
	b = text(b, a.Name)
	b = append(b, byte(v.Role))
	b = flags(b, v.Acting, v.Claiming, v.Withhold, v.Unable, v.Confirmed, v.Isolated, v.Ready, v.Pinned)
	b = u64(b, v.Epoch)
	b = u32(b, v.Reachable, a.Devices, a.Commands)
	b = u64(b, uint64(a.LeaseLeft), uint64(a.Since), a.Epoch, a.Applied, a.Durable)
	return text(b, a.Reason)
}

func (m Goodbye) append(b []byte) []byte       { return text(u64(b, m.Seq), m.Reason) }
func (m Open) append(b []byte) []byte          { return u64(text(b, m.Area), m.Epoch, m.Seq) }
func (m SnapshotBegin) append(b []byte) []byte { return u64(b, m.Epoch, m.Seq) }
func (m SnapshotPart) append(b []byte) []byte  { return records(b, m.Records) }
func (m SnapshotEnd) append(b []byte) []byte   { return u64(b, m.Count) }
func (m Applied) append(b []byte) []byte       { return u64(b, m.Epoch, m.Applied, m.Durable) }
func (m Command) append(b []byte) []byte       { return payload(text(u64(b, m.ID), m.Key), m.Payload) }
func (m Result) append(b []byte) []byte        { return payload(text(u64(b, m.ID), m.Error), m.Payload) }

func (m Records) append(b []byte) []byte {
	return records(u64(b, m.Epoch, m.First, uint64(m.Wall)), m.Records)
}

func (m Step) append(b []byte) []byte {
	b = append(text(b, m.Area), byte(m.Message.Step), byte(m.Message.Kind))
	return text(u64(b, m.Message.ID, m.Message.Epoch), m.Message.Reason)
}

func u16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }

func u32(b []byte, vs ...uint32) []byte {
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func u64(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func flags(b []byte, bits ...bool) []byte {
	var v byte
	for i, bit := range bits {
		if bit {
			v |= 1 << i
		}
	}
	return append(b, v)
}

func text(b []byte, list ...string) []byte {
	for _, s := range list {
		s = s[:min(len(s), MaxText)]
		b = append(u16(b, uint16(len(s))), s...)
	}
	return b
}

func texts(b []byte, list []string) []byte {
	list = list[:min(len(list), MaxList)]
	return text(u16(b, uint16(len(list))), list...)
}

func payload(b, p []byte) []byte { return append(u32(b, uint32(len(p))), p...) }

func records(b []byte, list []Record) []byte {
	b = u16(b, uint16(len(list)))
	for _, r := range list {
		b = payload(append(b, r.Kind), r.Payload)
	}
	return b
}

// decoder takes fields off the front of b. After the first error everything it returns is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) message(t Type) Message {
	switch t {
	case TypeHello:
		return d.hello()
	case TypeReject:
		return Reject{Known: d.u64(), Reason: d.text()}
	case TypeBeat:
		return d.beat()
	case TypeGoodbye:
		return Goodbye{Seq: d.u64(), Reason: d.text()}
	case TypeOpen:
		return Open{Area: d.text(), Epoch: d.u64(), Seq: d.u64()}
	case TypeSnapshotBegin:
		return SnapshotBegin{Epoch: d.u64(), Seq: d.u64()}
	case TypeSnapshotPart:
		return SnapshotPart{Records: d.records()}
	case TypeSnapshotEnd:
		return SnapshotEnd{Count: d.u64()}
	case TypeRecords:
		return Records{Epoch: d.u64(), First: d.u64(), Wall: int64(d.u64()), Records: d.records()}
	case TypeApplied:
		return Applied{Epoch: d.u64(), Applied: d.u64(), Durable: d.u64()}
	case TypeStep:
		return d.step()
	case TypeCommand:
		return Command{ID: d.u64(), Key: d.text(), Payload: d.payload()}
	case TypeResult:
		return Result{ID: d.u64(), Error: d.text(), Payload: d.payload()}
	}
	d.fail("unknown type")
	return nil
}

func (d *decoder) hello() Message {
	if string(d.take(len(magic))) != magic {
		d.fail("no greeting")
		return nil
	}
	m := Hello{Protocol: d.u16(), Purpose: Purpose(d.u8()), Incarnation: d.u64(), Known: d.u64(),
		Project: d.text(), Version: d.text(), Digest: d.text(), Node: d.text(), Areas: d.texts()}
	if m.Purpose >= purposeEnd {
		d.fail("unknown purpose")
	}
	return m
}

func (d *decoder) beat() Message {
	f := d.u8()
	m := Beat{Answer: f&1 != 0, Seq: d.u64(), Request: d.u64(), Number: d.u64(), Echo: d.u64(), EchoIncarnation: d.u64(),
		Wall: int64(d.u64()), Digest: d.text(), Score: int64(d.u64()), Reasons: d.texts(), NotReady: d.texts()}
	for range d.count(MaxList) {
		m.Progress = append(m.Progress, Progress{Name: d.text(), Counter: d.u64(), Age: int64(d.u64())})
		if d.err != nil {
			return m
		}
	}
	for range d.count(MaxList) {
		m.Areas = append(m.Areas, d.area())
		if d.err != nil {
			return m
		}
	}
	m.Switch = d.lastSwitch()
	d.losses(&m)
	d.acted(&m)
	return m
}

// losses reads what was added at the end of a beat: a sender that does not have it yet ends before.
func (d *decoder) losses(m *Beat) {
	if d.err != nil || len(d.b) == 0 {
		return
	}
	if d.count(MaxList) != len(m.Areas) {
		d.fail("losses of other areas than those named")
		return
	}
	for i := range m.Areas {
		m.Areas[i].Lost, m.Areas[i].Told = d.u32(), true
	}
}

// acted reads what was added behind the losses; from a sender that does not have it yet the epochs are zero.
func (d *decoder) acted(m *Beat) {
	if d.err != nil || len(d.b) == 0 {
		return
	}
	if d.count(MaxList) != len(m.Areas) {
		d.fail("terms of other areas than those named")
		return
	}
	for i := range m.Areas {
		m.Areas[i].View.Acted = d.u64()
	}
}

func (d *decoder) lastSwitch() Switch {
	s := Switch{Area: d.text(), From: d.text(), To: d.text(), Reason: d.text(), Kind: role.Kind(d.u8()), At: int64(d.u64()),
		Epoch: d.u64(), Detect: int64(d.u64()), Activate: int64(d.u64()), FirstValue: int64(d.u64()), Missed: d.u32(), Duplicates: d.u32()}
	if !s.Kind.Valid() {
		d.fail("unknown kind of switch")
	}
	return s
}

func (d *decoder) area() Area {
	a := Area{Name: d.text()}
	r, f := role.Role(d.u8()), d.u8()
	bit := func(i int) bool { return f&(1<<i) != 0 }
	a.View = role.View{Role: r, Acting: bit(0), Claiming: bit(1), Withhold: bit(2), Unable: bit(3), Confirmed: bit(4),
		Isolated: bit(5), Ready: bit(6), Pinned: bit(7), Epoch: d.u64(), Reachable: d.u32()}
	a.Devices, a.Commands = d.u32(), d.u32()
	a.LeaseLeft, a.Since = int64(d.u64()), int64(d.u64())
	a.Epoch, a.Applied, a.Durable = d.u64(), d.u64(), d.u64()
	a.Reason = d.text()
	if !r.Valid() {
		d.fail("unknown role")
	}
	return a
}

func (d *decoder) step() Message {
	area := d.text()
	m := role.Message{Step: role.Step(d.u8()), Kind: role.Kind(d.u8()), ID: d.u64(), Epoch: d.u64(), Reason: d.text()}
	if !m.Step.Valid() || !m.Kind.Valid() {
		d.fail("unknown step")
	}
	return Step{area, m}
}

func (d *decoder) fail(why string) {
	if d.err == nil {
		d.err = formatError(why)
	}
	d.b = nil
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || len(d.b) < n {
		d.fail("cut short")
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) u8() uint8 {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if v := d.take(2); v != nil {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if v := d.take(4); v != nil {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if v := d.take(8); v != nil {
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

func (d *decoder) count(limit int) int {
	n := int(d.u16())
	if n > limit {
		d.fail("list too long")
		return 0
	}
	return n
}

func (d *decoder) text() string {
	n := int(d.u16())
	if n > MaxText {
		d.fail("text too long")
		return ""
	}
	return string(d.take(n))
}

func (d *decoder) texts() []string {
	var list []string
	for range d.count(MaxList) {
		list = append(list, d.text())
		if d.err != nil {
			return nil
		}
	}
	return list
}

func (d *decoder) payload() []byte {
	n := d.u32()
	if n > MaxPayload {
		d.fail("payload too long")
		return nil
	}
	if n == 0 {
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) records() []Record {
	var list []Record
	for range d.count(MaxRecords) {
		list = append(list, Record{Kind: d.u8(), Payload: d.payload()})
		if d.err != nil {
			return nil
		}
	}
	return list
}
