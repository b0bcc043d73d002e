/** Calls of the HTTP APIs, typed by their OpenAPI descriptions. */
import type { paths as AdminPaths } from './admin.gen'
import type { paths as AgentPaths } from './agent.gen'
import type { paths as AssistPaths } from './assist.gen'
import type { paths as SupervisorPaths } from './supervisor.gen'

/** A problem document (RFC 9457), or what stands for one when the network fails: then `status` is 0. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The last part of `type`: `offer-gone`. */
    readonly kind: string,
    readonly title: string,
    readonly body: Record<string, unknown> = {}
  ) {
    super(title)
  }

  get detail(): string | undefined {
    return typeof this.body.detail === 'string' ? this.body.detail : undefined
  }

  /** Whether the same request may work later: the network, a throttle, an error of the server. */
  get mayPass(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/** What a call needs of its surroundings. */
export interface Caller {
  /** The address of the API: `…/agent`. */
  base: string
  token(): Promise<string>
  /** Told when a valid token is refused all the same: the next one is another. */
  refused?(): void
  /** Told when the caller's role does not allow it: it may be another one by now. */
  forbidden?(): void
  fetch?: typeof fetch
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
type Of<T, K extends string> = T extends { [P in K]: infer V } ? V : never
type Json<T> = T extends { content: { 'application/json': infer V } } ? V : undefined
type Answer<T> = Json<Of<T, 'responses'> extends infer R ? R[keyof R & (200 | 201 | 202)] : never>
type Parameters<T, K extends string> = T extends { parameters: { [P in K]?: infer V } } ? (V extends object ? V : object) : object
type Body<T> = T extends { requestBody: { content: { 'application/json': infer V } } } ? V : undefined

/** What a call sends. */
export interface Sent<T> {
  path?: Parameters<T, 'path'>
  query?: Parameters<T, 'query'>
  body?: Body<T>
  /** The same key again changes nothing and gets the first answer. */
  key?: string
  /** The version that the command is based on. */
  version?: number
  /** The `ETag` of the last answer, kept here from call to call. The answer is undefined while there is nothing newer. */
  etag?: { value?: string }
  /** Takes the answer as it is, where that is a file. What the call returns is undefined. */
  file?: { blob?: Blob }
  /** The page may be gone before the answer. */
  keepalive?: boolean
}

export type Operation<T> = (caller: Caller, sent?: Sent<T>) => Promise<Answer<T>>

/** An operation of an API. Its path is typed, so a route that does not exist does not compile. */
export function operationOf<Paths>() {
  return <M extends Method, P extends keyof Paths & string>(method: M, path: P): Operation<Of<Paths[P], M>> =>
    async (caller, sent = {}) => {
      const values = (sent.path ?? {}) as Record<string, string | number>
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])))
      const query = new URLSearchParams()
      for (const [name, value] of Object.entries(sent.query ?? {})) {
        for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null) query.append(name, String(one))
      }
      const url = `${caller.base}${filled}${query.size ? `?${query}` : ''}`
      const headers: Record<string, string> = {}
      if (sent.body !== undefined) headers['Content-Type'] = 'application/json'
      if (sent.key) headers['Idempotency-Key'] = sent.key
      if (sent.version !== undefined) headers['If-Match'] = `"${sent.version}"`
      if (sent.etag?.value) headers['If-None-Match'] = sent.etag.value
      const body = sent.body === undefined ? undefined : JSON.stringify(sent.body)
      const ask = async (token: string) => {
        const all = { ...headers, Authorization: `Bearer ${token}` }
        try {
          return await (caller.fetch ?? fetch)(url, { method: method.toUpperCase(), headers: all, body, keepalive: sent.keepalive, signal: AbortSignal.timeout(35_000) })
        } catch {
          throw new Problem(0, 'network', 'The connection failed')
        }
      }
      const token = await caller.token()
      let answer = await ask(token)
      if (answer.status === 401) {
        // Nothing was carried out. The machine may have slept, or the issuer has new keys: once more with a new token.
        caller.refused?.()
        const fresh = await caller.token()
        if (fresh !== token) answer = await ask(fresh)
      }
      if (sent.etag && answer.status === 304) return undefined as never
      if (sent.etag) sent.etag.value = answer.headers.get('ETag') ?? undefined
      if (sent.file && answer.ok) {
        sent.file.blob = await answer.blob()
        return undefined as never
      }
      const said = await answer.json().catch(() => undefined)
      if (answer.ok) return said as never
      const problem = (said ?? {}) as Record<string, unknown>
      const kind = typeof problem.type === 'string' ? (problem.type.split('/').at(-1) ?? '') : ''
      if (kind === 'forbidden') caller.forbidden?.()
      throw new Problem(answer.status, kind, typeof problem.title === 'string' ? problem.title : `${answer.status}`, problem)
    }
}

export const agentOperation = operationOf<AgentPaths>()
export const supervisorOperation = operationOf<SupervisorPaths>()
export const assistOperation = operationOf<AssistPaths>()
export const adminOperation = operationOf<AdminPaths>()
