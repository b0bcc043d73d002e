import { describe, expect, it } from 'vitest'
import { Session } from '../src/core/session'

function sessionWith(answers: (() => Response)[]) {
  const state = { now: 0, posts: [] as string[], ended: 0 }
  const session = new Session({
    async post(path) {
      state.posts.push(path)
      const answer = answers.shift()
      if (!answer) throw new TypeError('no network')
      return answer()
    },
    exclusively: (run) => run(),
    now: () => state.now,
    ended: () => void (state.ended += 1)
  })
  return { session, state }
}
const token = (id_token: string) => () => Response.json({ id_token, expires_in: 3600 })

describe('the session', () => {
  it('renews at four fifths of a token’s life, once for all who ask', async () => {
    const { session, state } = sessionWith([token('one'), token('two')])
    expect(await Promise.all([session.token(), session.token()])).toEqual(['one', 'one'])
    state.now = 2_879_000
    expect(await session.token()).toBe('one')
    state.now = 2_881_000
    expect([await session.token(), state.posts.length]).toEqual(['two', 2])
  })

  it('goes on with a token that is good while the issuer is away, and no longer', async () => {
    const { session, state } = sessionWith([token('one')])
    await session.token()
    state.now = 3_000_000
    expect(await session.token()).toBe('one')
    state.now = 3_700_000
    await expect(session.token()).rejects.toMatchObject({ status: 0 })
    expect(state.ended).toBe(0)
  })

  it('tells that a session has ended', async () => {
    const { session, state } = sessionWith([() => new Response('{}', { status: 401 })])
    await expect(session.token()).rejects.toMatchObject({ status: 401 })
    expect(state.ended).toBe(1)
  })
})
