//go:build race

package uaserver_test

// raceDetector says that the test was built with -race.
const raceDetector = true
