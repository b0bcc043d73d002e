import { expect, it } from 'vitest'
import { bodyOf, formOf, newPrice } from '../src/configure/kinds/money'

it('sends the table as it was read, and what people type as the API takes it', () => {
  const table = {
    currency: 'EUR', version: 3,
    prices: [{ category: 'marketing' as const, country: '+39', amount: '0.0691', currency: 'EUR', from: '2026-07-01' }, { category: 'utility' as const, amount: '0.03', currency: 'USD' }],
    rates: [{ currency: 'USD', rate: '0.92' }]
  }
  const { version: _, ...body } = table
  expect(bodyOf(formOf(table))).toEqual(body)
  const form = { currency: ' eur', prices: [{ ...newPrice('eur'), amount: '0,05', country: ' ' }], rates: [{ currency: 'usd', rate: ' 0,9' }] }
  expect(bodyOf(form)).toEqual({ currency: 'EUR', prices: [{ category: 'utility', amount: '0.05', currency: 'EUR' }], rates: [{ currency: 'USD', rate: '0.9' }] })
})
