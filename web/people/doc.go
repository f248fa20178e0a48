// Package people is who may do what: the users and tokens of a plant, as both nodes hold them.
//
// A [Book] has two parts. What the plant file declares is read-only here. What administrators add while the plant runs
// is a set of records, each with the time of its last change; of two records of one name the later one counts, on
// whichever node it was made. So two books become equal by exchanging their records, in any order and any number of
// times, also after the nodes were cut off from each other. A record that is removed stays as a mark, or the other node
// would bring it back.
//
// Passwords and tokens are here as hashes alone. Nothing reads a clock or a file: the time is an argument, and who holds
// the book stores it.
package people
