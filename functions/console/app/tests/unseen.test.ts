import { describe, expect, it } from 'vitest'
import type { Interaction } from '../src/api'
import { unseenAfter } from '../src/core/unseen'

const interaction = (unread: boolean, unread_count?: number) => ({ id: 'int_1', unread, unread_count }) as Interaction

describe('messages that nobody has looked at', () => {
  it('are those that the API counts, if the screen was opened later', () => {
    expect(unseenAfter(0, undefined, interaction(true, 3))).toBe(3)
  })

  it('are those that the screen counts, while the tab is open and nobody looks', () => {
    expect(unseenAfter(2, interaction(false), interaction(false))).toBe(2)
    expect(unseenAfter(2, interaction(true, 1), interaction(true, 1))).toBe(2)
  })

  it('are none once the thread was read on another screen', () => {
    expect(unseenAfter(2, interaction(true, 2), interaction(false))).toBe(0)
  })
})
