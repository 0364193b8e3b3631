/** What the port for reports asks of its surroundings; handed in by the composition root. */
import type { Server } from '@grpc/grpc-js'
import type { Labels } from '../../src/model.ts'
import type { Clock, Logger, PushReceiver } from '../../src/ports.ts'
import type { Paces } from './paces.ts'

/** How callers prove who they are. */
export type Proof =
  | { readonly kind: 'token'; review(token: string): Verdict | Promise<Verdict> }
  /** Common name of a client certificate to the namespaces whose pods it may report for. */
  | {
      readonly kind: 'certificate'
      readonly namespaces: ReadonlyMap<string, ReadonlySet<string>>
    }
  | { readonly kind: 'none' }

type Verdict =
  | {
      readonly authenticated: true
      readonly user: {
        readonly name: string
        readonly extra: Readonly<Record<string, readonly string[]>>
      }
    }
  | { readonly authenticated: false; readonly message: string }

export interface PushServerDeps {
  readonly receiver: PushReceiver
  readonly clock: Clock
  readonly log: Logger
  readonly proof: Proof
  readonly paces: Paces
  /** Joins the server with its socket and certificate. */
  open(server: Server): {
    listen(address: string, port: number): Promise<number>
    close(): Promise<void>
    destroy(): void
  }
  /** Requests a second that a pod which serves this is to take; undefined while not known. */
  admissibleRate(served: readonly Labels[]): number | undefined
  observe(outcome: string): void
  /** Points of OTLP that were taken or not. */
  observePoints(outcome: 'accepted' | 'refused', count: number): void
}
