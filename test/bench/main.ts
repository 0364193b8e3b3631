/** Everything that is measured, in one run, each told when it is done. `npm run bench`. */
import { systemClock } from '../../src/clock.ts'
import { benchEvaluate, type BenchRow } from './evaluate.ts'
import { benchExternalScaler } from './externalScaler.ts'
import { benchForecast } from './forecast.ts'
import { benchKafkaEvents } from './kafkaEvents.ts'
import { benchKafkaLag } from './kafkaLag.ts'
import { benchMetricsApi } from './metricsApi.ts'
import { benchPushFlood } from './pushFlood.ts'
import { benchReporter } from './reporter.ts'
import { benchSignalMetrics } from './signalMetrics.ts'
import { benchWindowStore } from './windowStore.ts'

/** Much more than a machine takes that does nothing else; of a busy one the times on the clock are worth little. */
const LIMIT_MS = 900_000
const late = setTimeout(() => {
  console.error(`bench: not done within ${LIMIT_MS / 1000} s: is the machine busy?`)
  process.exit(1)
}, LIMIT_MS)

async function told(name: string, bench: () => Promise<unknown>): Promise<void> {
  const beginMs = systemClock.monotonicMs()
  await bench()
  console.log(`# ${name}: ${((systemClock.monotonicMs() - beginMs) / 1000).toFixed(0)} s\n`)
}

type Rows = readonly BenchRow[]

async function rows(name: string, bench: () => Rows | Promise<Rows>): Promise<void> {
  await told(name, async () => {
    for (const { what, value, unit } of await bench())
      console.log(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}`)
  })
}

await rows('evaluate', benchEvaluate)
await rows('forecast', benchForecast)
await rows('signalMetrics', benchSignalMetrics)
await rows('kafkaLag', benchKafkaLag)
await rows('kafkaEvents', benchKafkaEvents)
await rows('windowStore', benchWindowStore)
await rows('pushFlood', benchPushFlood)
await told('metricsApi', benchMetricsApi)
await told('externalScaler', benchExternalScaler)
await told('reporter', benchReporter)
clearTimeout(late)
