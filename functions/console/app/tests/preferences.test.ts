import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACTIONS, RESERVED, USUAL, actionOf, letterOf, parsed, remap, type Action, type Preferences } from '../src/core/preferences'

describe('shortcuts', () => {
  it('swap where a letter is taken, and never have one of the browser’s menus', () => {
    const keys = remap({}, 'A', 'X')
    expect([letterOf(keys, 'A'), letterOf(keys, 'X'), actionOf(keys, 'X'), actionOf(keys, 'A')]).toEqual(['X', 'A', 'A', 'X'])
    expect(remap(keys, 'A', 'A')).toEqual({})
    expect(RESERVED.map((letter) => remap({}, 'A', letter))).toEqual(RESERVED.map(() => ({})))
  })
  it('lead to one action each, whatever was chosen in whatever order', () => {
    const choices = fc.array(fc.tuple(fc.constantFrom(...ACTIONS), fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZ1ä')))
    fc.assert(fc.property(choices, (all) => {
      const keys = all.reduce<Preferences['letters']>((keys, [action, letter]) => remap(keys, action as Action, letter), {})
      const letters = ACTIONS.map((action) => letterOf(keys, action))
      expect(new Set(letters).size).toBe(ACTIONS.length)
      expect(letters.filter((letter) => RESERVED.includes(letter) || !/^[A-Z]$/.test(letter))).toEqual([])
      expect(parsed(JSON.stringify({ letters: keys })).letters).toEqual(keys)
    }))
  })
})

it('reads what was stored, and leaves out what can’t be', () => {
  expect(parsed(null)).toEqual(USUAL)
  expect(['', 'null', '[]', '{', '{"volume":101,"tone":"loud","comfortable":1,"letters":{"A":"F","Z":"Y"}}'].map(parsed)).toEqual(Array(5).fill(USUAL))
  const own: Preferences = { comfortable: true, ctrlEnter: true, desktop: false, tone: 'low', volume: 0, messages: false, letters: { M: 'N' } }
  expect(parsed(JSON.stringify(own))).toEqual(own)
})
