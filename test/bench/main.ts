/** Everything that is measured, in one run. `npm run bench`. */
import { benchEvaluate } from './evaluate.ts'
import { benchExternalScaler } from './externalScaler.ts'
import { benchForecast } from './forecast.ts'
import { benchKafkaEvents } from './kafkaEvents.ts'
import { benchKafkaLag } from './kafkaLag.ts'
import { benchMetricsApi } from './metricsApi.ts'
import { benchPushFlood } from './pushFlood.ts'
import { benchReporter } from './reporter.ts'
import { benchSignalMetrics } from './signalMetrics.ts'
import { benchWindowStore } from './windowStore.ts'

const LIMIT_MS = 300_000
const late = setTimeout(() => {
  console.error(`bench: not done within ${LIMIT_MS / 1000} s`)
  process.exit(1)
}, LIMIT_MS)

const rows = [
  ...benchEvaluate(),
  ...benchForecast(),
  ...(await benchSignalMetrics()),
  ...(await benchKafkaLag()),
  ...(await benchKafkaEvents()),
  ...(await benchWindowStore()),
  ...(await benchPushFlood()),
]
for (const { what, value, unit } of rows) {
  console.log(`${what.padEnd(60)} ${value.toFixed(2)} ${unit}`)
}
await benchMetricsApi()
await benchExternalScaler()
await benchReporter()
clearTimeout(late)
