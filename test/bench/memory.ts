import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** After a full collection; points lie outside the heap, so both are counted. */
export function bytesInUse(): number {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  // What lies outside the heap is given back beside the program; the second collection waits for that of the first.
  collectGarbage()
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
