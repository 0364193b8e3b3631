/**
 * Connections to brokers. kafkajs (2.2.4, the last there is) gives connections, authentication and encodings; its own
 * cluster, consumer and admin are not used: they hide errors, ask for more than is needed, and retry without end.
 * The imports below reach into the library, so package.json pins its version.
 */
import Broker from 'kafkajs/src/broker/index.js'
import type { ConnectionPool } from 'kafkajs/src/broker/index.js'
import connectionPoolBuilder from 'kafkajs/src/cluster/connectionPoolBuilder.js'
import loggers from 'kafkajs/src/loggers/index.js'
import socketFactory from 'kafkajs/src/network/socketFactory.js'
import { TidelineError } from '../../../errors.ts'
import type { Logger, SecretReader } from '../../../ports.ts'
import { tlsOptions } from '../../tls.ts'
import type { KafkaConnection } from '../connection.ts'
import { kafkaFailure } from './failure.ts'
import type { Metadata } from './metadata.ts'
import { METADATA, METADATA_VERSION, metadataCall } from './metadata.ts'

const CONNECT_MS = 3000
const REQUEST_MS = 3000

export interface BrokersDeps {
  readonly secrets: SecretReader
  readonly log: Logger
}

type Pools = ReturnType<typeof connectionPoolBuilder>

/** All brokers of a cluster, connected when first asked. Credentials are read once for an object of this. */
export class Brokers {
  readonly #connection: KafkaConnection
  readonly #deps: BrokersDeps
  readonly #logger: unknown
  readonly #first: number
  #pools: Promise<Pools> | undefined
  readonly #nodes = new Map<string, Broker>()
  readonly #addresses = new Map<number, { readonly host: string; readonly port: number }>()
  #closed = false

  /** @param first Which of the configured brokers is tried first: one that hangs must not be so each time. */
  constructor(connection: KafkaConnection, deps: BrokersDeps, first = 0) {
    this.#connection = connection
    this.#first = first % connection.brokers.length
    this.#deps = deps
    this.#logger = libraryLogger(deps.log)
  }

  /** Of these topics alone, from whichever broker answers. */
  async metadata(topics: readonly string[]): Promise<Metadata> {
    const broker = await this.any()
    if ((broker.versions?.[METADATA]?.maxVersion ?? 0) < METADATA_VERSION)
      throw new TidelineError('bad-response', 'the broker is older than Kafka 2.8')
    const metadata = await broker.connectionPool.send(metadataCall(topics))
    for (const { nodeId, host, port } of metadata.brokers)
      this.#addresses.set(nodeId, { host, port })
    return metadata
  }

  /** One that is connected, or the first that can be: those known, then those configured. */
  async any(): Promise<Broker> {
    const known = [...this.#nodes.values()].find(isReady)
    if (known !== undefined) return known
    const { brokers } = this.#connection
    const inTurn = [...brokers.slice(this.#first), ...brokers.slice(0, this.#first)]
    const configured = inTurn.map(hostAndPort)
    let failure: unknown
    for (const { host, port } of [...this.#addresses.values(), ...configured]) {
      try {
        return await this.#at(host, port)
      } catch (thrown) {
        failure = kafkaFailure(thrown, `${host}:${port}`, 'right to connect')
        if (failure instanceof TidelineError && failure.code === 'unauthorized') break
      }
    }
    throw failure
  }

  async node(nodeId: number): Promise<Broker> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined)
      throw new TidelineError('unavailable', `broker ${nodeId} is not known`)
    return await this.#at(address.host, address.port)
  }

  async coordinator(group: string): Promise<Broker> {
    const broker = await this.any()
    const { coordinator } = await broker.findGroupCoordinator({
      groupId: group,
      coordinatorType: 0,
    })
    return await this.#at(coordinator.host, coordinator.port)
  }

  /** Forgets a broker whose connection is of no use; the next call connects anew. */
  drop(broker: Broker): void {
    for (const [address, one] of this.#nodes) if (one === broker) this.#nodes.delete(address)
    end(broker)
  }

  /** Ends all connections; what is under way is rejected. */
  close(): void {
    this.#closed = true
    for (const broker of this.#nodes.values()) end(broker)
    this.#nodes.clear()
  }

  async #at(host: string, port: number): Promise<Broker> {
    const address = `${host}:${port}`
    const known = this.#nodes.get(address)
    const broker = known ?? (await this.#made(host, port))
    this.#nodes.set(address, broker)
    if (isReady(broker)) return broker
    try {
      await broker.connect()
      if (!isReady(broker))
        throw new TidelineError('unavailable', `${address}: the connection was not completed`)
    } catch (thrown) {
      this.drop(broker)
      throw thrown
    }
    if (!this.#closed) return broker
    end(broker)
    throw new TidelineError('unavailable', 'the client was closed')
  }

  async #made(host: string, port: number): Promise<Broker> {
    this.#pools ??= this.#buildPools()
    this.#pools.catch(() => (this.#pools = undefined))
    const connectionPool = await (await this.#pools).build({ host, port })
    for (const { requestQueue } of connectionPool.pool) quieten(requestQueue)
    return new Broker({
      connectionPool,
      logger: this.#logger,
      authenticationTimeout: CONNECT_MS,
      allowAutoTopicCreation: false,
    })
  }

  async #buildPools(): Promise<Pools> {
    const { tls, sasl, clientId, brokers } = this.#connection
    const { secrets } = this.#deps
    return connectionPoolBuilder({
      socketFactory: socketFactory(),
      brokers,
      clientId,
      connectionTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      enforceRequestTimeout: true,
      logger: this.#logger,
      ...(tls === undefined
        ? {}
        : { ssl: await tlsOptions(tls, (reference) => secrets.read(reference)) }),
      ...(sasl === undefined ? {} : { sasl: await saslOptions(sasl, secrets) }),
    })
  }
}

/** The library calls it connected as soon as bytes can be sent, before it knows what the broker understands. */
function isReady(broker: Broker): boolean {
  return broker.isConnected() && broker.versions !== null
}

async function saslOptions(
  sasl: NonNullable<KafkaConnection['sasl']>,
  secrets: SecretReader,
): Promise<object> {
  if (sasl.mechanism === 'oauthbearer') {
    const { mechanism, token } = sasl
    return { mechanism, oauthBearerProvider: async () => ({ value: await secrets.read(token) }) }
  }
  const { mechanism, username, password } = sasl
  return { mechanism, username, password: await secrets.read(password) }
}

function hostAndPort(broker: string): { readonly host: string; readonly port: number } {
  const colon = broker.lastIndexOf(':')
  const host = broker.slice(0, colon).replace(/^\[|\]$/g, '')
  return { host, port: Number(broker.slice(colon + 1)) }
}

/**
 * After each request the library sets a timer of a negative time, of which Node warns, to look at requests that wait;
 * where none waits there is nothing to look at.
 */
function quieten(queue: ConnectionPool['pool'][number]['requestQueue']): void {
  const schedule = queue.scheduleCheckPendingRequests.bind(queue)
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0) schedule()
  }
}

/** At once: the library's own way waits for answers that may never come. */
function end(broker: Broker): void {
  for (const connection of broker.connectionPool.pool) {
    connection.requestQueue.rejectAll(new TidelineError('unavailable', 'the connection was ended'))
    connection.socket?.destroy()
    connection.disconnect().catch(() => undefined)
    connection.requestQueue.destroy()
  }
}

/** What the library says is for whoever looks for a fault in it; what failed is told by us. */
function libraryLogger(log: Logger): unknown {
  return loggers.createLogger({
    level: loggers.LEVELS['INFO'] ?? 0,
    logCreator:
      () =>
      ({ namespace, log: { message, broker } }) =>
        log.debug('kafka-client', {
          part: namespace,
          message,
          ...(typeof broker === 'string' ? { broker } : {}),
        }),
  })
}
