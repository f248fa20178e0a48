//go:build race

package opcua

// raceDetector says that the test was built with -race.
const raceDetector = true
