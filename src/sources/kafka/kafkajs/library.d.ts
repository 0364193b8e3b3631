/**
 * The parts of kafkajs, of the version that package.json pins, that have no types: its connections and its
 * encodings. Of two small codecs too.
 */
declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  interface FetchRequest {
    readonly replicaId: number
    readonly maxWaitTime: number
    readonly minBytes: number
    readonly maxBytes: number
    readonly isolationLevel: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly {
        readonly partition: number
        readonly fetchOffset: string
        readonly maxBytes: number
      }[]
    }[]
  }
  export default function request(fetch: FetchRequest): object
}
declare module 'kafkajs/src/cluster/connectionPoolBuilder.js' {
  import type { ConnectionPool } from 'kafkajs/src/broker/index.js'
  interface Options {
    readonly socketFactory: unknown
    readonly brokers: readonly string[]
    readonly ssl?: object
    readonly sasl?: object
    readonly clientId: string
    readonly requestTimeout: number
    readonly enforceRequestTimeout: boolean
    readonly connectionTimeout: number
    readonly logger: unknown
  }
  export default function connectionPoolBuilder(options: Options): {
    build(destination: { host: string; port: number }): Promise<ConnectionPool>
  }
}
declare module 'kafkajs/src/network/socketFactory.js' {
  export default function socketFactory(): unknown
}
declare module 'kafkajs/src/loggers/index.js' {
  interface Entry {
    readonly namespace: string | undefined
    readonly label: string
    readonly log: Readonly<Record<string, unknown>> & { readonly message: string }
  }
  const loggers: {
    readonly LEVELS: Readonly<Record<'NOTHING' | 'ERROR' | 'WARN' | 'INFO' | 'DEBUG', number>>
    createLogger(options: {
      readonly level: number
      readonly logCreator: () => (entry: Entry) => void
    }): unknown
  }
  export default loggers
}
declare module 'kafkajs/src/consumer/assignerProtocol.js' {
  const protocol: {
    readonly MemberMetadata: {
      encode(metadata: { readonly version: number; readonly topics: readonly string[] }): Buffer
      decode(buffer: Buffer): { readonly topics: readonly string[] }
    }
    readonly MemberAssignment: {
      encode(of: {
        readonly version: number
        readonly assignment: Readonly<Record<string, readonly number[]>>
      }): Buffer
      decode(
        buffer: Buffer,
      ): { readonly assignment: Readonly<Record<string, readonly number[]>> } | null
    }
  }
  export default protocol
}
declare module 'kafkajs/src/broker/index.js' {
  interface Connection {
    readonly socket?: { destroy(): void }
    readonly requestQueue: {
      readonly pending: readonly unknown[]
      scheduleCheckPendingRequests(): void
      rejectAll(error: Error): void
      destroy(): void
    }
    disconnect(): Promise<unknown>
  }
  export interface ConnectionPool {
    readonly host: string
    readonly port: number
    readonly pool: readonly Connection[]
    send<T>(call: {
      readonly request: object
      readonly response: {
        decode(raw: Buffer): Promise<T>
        parse(decoded: T): Promise<T>
      }
      readonly requestTimeout?: number
      readonly logResponseError?: boolean
    }): Promise<T>
  }
  interface Group {
    readonly groupId: string
    readonly memberId: string
  }
  export default class Broker {
    constructor(options: {
      readonly connectionPool: ConnectionPool
      readonly logger: unknown
      readonly nodeId?: number
      readonly authenticationTimeout: number
      readonly allowAutoTopicCreation: boolean
    })
    readonly connectionPool: ConnectionPool
    readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null
    isConnected(): boolean
    connect(): Promise<void>
    findGroupCoordinator(of: {
      readonly groupId: string
      readonly coordinatorType: number
    }): Promise<{
      readonly coordinator: {
        readonly nodeId: number
        readonly host: string
        readonly port: number
      }
    }>
    listOffsets(query: {
      readonly isolationLevel: number
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
      }[]
    }): Promise<{
      readonly responses: readonly {
        readonly topic: string
        readonly partitions: readonly {
          readonly partition: number
          readonly offset: string
          readonly timestamp: string
        }[]
      }[]
    }>
    offsetFetch(query: {
      readonly groupId: string
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number }[]
      }[]
    }): Promise<{
      readonly responses: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
      }[]
    }>
    describeGroups(query: { readonly groupIds: readonly string[] }): Promise<{
      readonly groups: readonly { readonly state: string; readonly members: readonly unknown[] }[]
    }>
    joinGroup(
      join: Group & {
        readonly sessionTimeout: number
        readonly rebalanceTimeout: number
        readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[]
      },
    ): Promise<{
      readonly generationId: number
      readonly leaderId: string
      readonly memberId: string
      readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
    }>
    syncGroup(
      sync: Group & {
        readonly generationId: number
        readonly groupAssignment: readonly {
          readonly memberId: string
          readonly memberAssignment: Buffer
        }[]
      },
    ): Promise<{ readonly memberAssignment: Buffer }>
    heartbeat(beat: Group & { readonly groupGenerationId: number }): Promise<unknown>
    leaveGroup(leave: Group): Promise<unknown>
    offsetCommit(
      commit: Group & {
        readonly groupGenerationId: number
        readonly topics: readonly {
          readonly topic: string
          readonly partitions: readonly {
            readonly partition: number
            readonly offset: string
            readonly metadata: string | null
          }[]
        }[]
      },
    ): Promise<unknown>
  }
}
declare module 'snappyjs' {
  const snappy: { uncompress(compressed: Uint8Array, maxLength?: number): Uint8Array }
  export default snappy
}
declare module 'lz4js' {
  const lz4: { decompress(compressed: Uint8Array, maxLength?: number): Uint8Array }
  export default lz4
}
