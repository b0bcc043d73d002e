/** The login. The id token is in memory only; the refresh token is a cookie that no script can read. */
import { Problem } from '../api/client'

export interface SessionPorts {
  /** `POST` to `session/token` or `session/logout`. */
  post(path: string): Promise<Response>
  /** One window at a time renews: an issuer may rotate its refresh tokens. */
  exclusively<T>(run: () => Promise<T>): Promise<T>
  now(): number
  ended(): void
}

export class Session {
  private held: { token: string; renewAt: number; endsAt: number } | undefined
  private renewing: Promise<string> | undefined

  constructor(private readonly ports: SessionPorts) {}

  /** A token that is valid for a while. */
  async token(): Promise<string> {
    const now = this.ports.now()
    if (this.held && now < this.held.renewAt) return this.held.token
    try {
      return await (this.renewing ??= this.renew().finally(() => (this.renewing = undefined)))
    } catch (error) {
      // The issuer's bad moment: the token is good until it ends.
      if (this.held && now < this.held.endsAt && error instanceof Problem && error.mayPass) return this.held.token
      throw error
    }
  }

  /** The next call renews: the token was refused. */
  forget() {
    this.held = undefined
  }

  private renew(): Promise<string> {
    return this.ports.exclusively(async () => {
      let answer: Response
      try {
        answer = await this.ports.post('session/token')
      } catch {
        throw new Problem(0, 'network', 'The connection failed')
      }
      if (answer.status === 401) {
        this.held = undefined
        this.ports.ended()
        throw new Problem(401, 'session', 'The session has ended')
      }
      if (!answer.ok) throw new Problem(answer.status, 'session', 'The session can not be renewed')
      const { id_token, expires_in } = (await answer.json()) as { id_token: string; expires_in: number }
      const now = this.ports.now()
      // At four fifths of its life, so that a renewal may fail a few times.
      this.held = { token: id_token, renewAt: now + expires_in * 800, endsAt: now + expires_in * 1000 }
      return id_token
    })
  }

  /** Ends the session. Answers with the address at which it ends at the issuer. */
  async logout(): Promise<string> {
    this.held = undefined
    const answer = await this.ports.post('session/logout')
    const { url } = (await answer.json()) as { url: string }
    return url
  }
}
