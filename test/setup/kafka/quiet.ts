/**
 * After each request kafkajs sets a timer of a negative time, of which Node warns, to look at requests that wait; where
 * none waits there is nothing to look at. Importing this spares the peers of the tests the warning; the adapter's own
 * connections see to it themselves.
 */
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'

const schedule = RequestQueue.prototype.scheduleCheckPendingRequests
RequestQueue.prototype.scheduleCheckPendingRequests = function whereSomeWait() {
  if (this.pending.length > 0) schedule.call(this)
}
