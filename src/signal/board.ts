import type { SignalReadings } from '../model.ts'
import type { SignalReader } from '../ports.ts'

/** The readings of the newest tick, for every edge. One tick replaces the other in one step. */
export interface Board extends SignalReader {
  publish(readings: readonly SignalReadings[], signalsChanged: boolean): void
}

export function createBoard(): Board {
  let tick = 0
  let generation = 0
  let all: readonly SignalReadings[] = []
  let byId = new Map<string, SignalReadings>()
  let external = new Map<string, SignalReadings>()
  let custom = new Map<string, SignalReadings>()
  return {
    get tick() {
      return tick
    },
    get generation() {
      return generation
    },
    all: () => all,
    signal: (namespace, name) => byId.get(`${namespace}/${name}`),
    external: (namespace, name) => external.get(`${namespace}/${name}`),
    custom: (namespace, resource, name) => custom.get(`${namespace}/${resource}/${name}`),
    publish(readings, signalsChanged) {
      const nextById = new Map<string, SignalReadings>()
      const nextExternal = new Map<string, SignalReadings>()
      const nextCustom = new Map<string, SignalReadings>()
      for (const one of readings) {
        const { id, namespace, expose } = one.signal
        nextById.set(id, one)
        if (expose.external !== undefined)
          nextExternal.set(`${namespace}/${expose.external.name}`, one)
        if (expose.custom !== undefined) {
          const { name, on } = expose.custom
          nextCustom.set(`${on.namespaced ? namespace : ''}/${on.resource}/${name}`, one)
        }
      }
      all = readings
      byId = nextById
      external = nextExternal
      custom = nextCustom
      tick += 1
      if (signalsChanged) generation += 1
    },
  }
}
