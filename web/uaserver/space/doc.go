// Package space is the address space of the OPC UA server: the standard nodes of namespace 0, and the plant's tags as
// variables in folders.
//
// The nodes of tags are not stored. A [Ref] names a node, and everything about it is worked out from the tag's
// definition when asked, so a tag costs a few dozen bytes and 100,000 of them start in no time. A space does not
// change after [New] and needs no lock, another revision of the plant has another ([Space.Revise]); what does change (values of tags, ServiceLevel) is asked from its owner.
package space
