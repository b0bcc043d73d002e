import { expect, it } from 'vitest'
import { next } from '../src/ui/regions'

it('goes around the parts of the screen, and begins at either end', () => {
  const walk = (by: 1 | -1) => [0, 1, 2].map((at) => next(3, at, by))
  expect([walk(1), walk(-1)]).toEqual([[1, 2, 0], [2, 0, 1]])
  expect([next(3, -1, 1), next(3, -1, -1), next(1, 0, 1)]).toEqual([0, 2, 0])
})
