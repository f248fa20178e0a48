// Package monitor holds the subscriptions of an OPC UA server: their monitored items, and the Publish requests that
// wait for something to tell.
//
// One goroutine, [Engine.Run], serves all of them: it follows the table of present values with one cursor, hands each
// change to the items on that tag, and publishes the subscriptions whose interval has passed. There is no goroutine
// and no timer per subscription or item. Messages are handed to a [Sender] that does not block, so a client that does
// not read costs nobody else anything. [Engine.Advance] is the whole of it with the time as an argument.
package monitor
