// Package packaging holds what makes a Debian package and a container image of the programs: units, scripts, lists. It has
// no code; its tests hold the files against each other and against the programs.
package packaging
