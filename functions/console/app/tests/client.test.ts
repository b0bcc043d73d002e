import { describe, expect, it } from 'vitest'
import { Problem, agentOperation, type Caller } from '../src/api/client'

const read = agentOperation('get', '/me')

/** A caller with these tokens, of which the API takes one. */
function callerWith(tokens: string[], good: string) {
  const seen: string[] = []
  let at = 0
  const caller: Caller = {
    base: 'https://api.example',
    token: async () => tokens[at]!,
    refused: () => void (at = Math.min(at + 1, tokens.length - 1)),
    async fetch(_, sent) {
      const token = new Headers(sent?.headers).get('Authorization')!.replace('Bearer ', '')
      seen.push(token)
      return token === good ? Response.json({ id: 'agt_1' }) : Response.json({ type: '/problems/unauthorized', title: 'No' }, { status: 401 })
    }
  }
  return { caller, seen }
}

describe('a call', () => {
  it('is made once more with a new token when its token is refused', async () => {
    const { caller, seen } = callerWith(['old', 'new'], 'new')
    expect(await read(caller)).toEqual({ id: 'agt_1' })
    expect(seen).toEqual(['old', 'new'])
  })

  it('is not made again where there is no other token', async () => {
    const { caller, seen } = callerWith(['old'], 'new')
    await expect(read(caller)).rejects.toThrow(Problem)
    expect(seen).toEqual(['old'])
  })
})
