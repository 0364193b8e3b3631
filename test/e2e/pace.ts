/** What comes at so many a second, whatever a busy machine does to the timer that brings it. */
export interface Pace {
  setRate(perSecond: number): void
  /** When each of those came that were not told yet, in order. */
  due(): readonly number[]
}

/**
 * Nothing is lost or moved where it is asked late: a timer of 50 ms that comes each 60 ms would make a sixth less of
 * a load, and replicas would follow that.
 */
export function createPace(): Pace {
  let perMs = 0
  let owed = 0
  let countedMs = Date.now()
  let untold: number[] = []

  function count(): void {
    const nowMs = Math.max(countedMs, Date.now())
    const total = owed + perMs * (nowMs - countedMs)
    for (let each = 1; each <= total; each += 1)
      untold.push(Math.floor(countedMs + (each - owed) / perMs))
    owed = total - Math.floor(total)
    countedMs = nowMs
  }

  return {
    setRate(perSecond) {
      count()
      perMs = perSecond / 1000
    },
    due() {
      count()
      const told = untold
      untold = []
      return told
    },
  }
}
