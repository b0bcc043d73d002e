/** Prices as the API has them, and as a form has them: text until it is saved. */
import type { Price, PriceRate, Prices, PricesInput } from '../../api/admin'
import type { Key } from '../../i18n'

export interface TokenPrice { input: string; output: string; currency: string }
export const tokenPriceShown = (value: unknown): string => {
  const price = value as TokenPrice | undefined
  return price ? `${price.input} / ${price.output} ${price.currency}` : '–'
}

export const CATEGORIES = {
  marketing: 'metricMarketing', utility: 'metricUtility', authentication: 'metricAuthentication', authentication_international: 'priceAuthenticationAbroad', service: 'metricService',
  template: 'priceTemplate', other: 'metricOther'
} as const satisfies Record<Price['category'], Key>

/** A line of the form. Empty texts are left out. */
export interface PriceLine { category: Price['category']; country: string; amount: string; currency: string; from: string }
export interface Form { currency: string; prices: PriceLine[]; rates: PriceRate[] }

export const formOf = (table: Prices): Form => ({
  currency: table.currency,
  prices: table.prices.map((it) => ({ category: it.category, country: it.country ?? '', amount: it.amount, currency: it.currency ?? table.currency, from: it.from ?? '' })),
  rates: table.rates.map((it) => ({ ...it }))
})
export const newPrice = (currency: string): PriceLine => ({ category: 'utility', country: '', amount: '', currency, from: '' })
/** What is sent. A number may be typed with a comma, as people write it. */
export const bodyOf = (form: Form): PricesInput => {
  const plain = (text: string) => text.trim()
  const number = (text: string) => plain(text).replace(',', '.')
  return {
    currency: plain(form.currency).toUpperCase(),
    prices: form.prices.map((it) => ({
      category: it.category, amount: number(it.amount), currency: plain(it.currency).toUpperCase(),
      ...(plain(it.country) ? { country: plain(it.country) } : {}), ...(it.from ? { from: it.from } : {})
    })),
    rates: form.rates.map((it) => ({ currency: plain(it.currency).toUpperCase(), rate: number(it.rate) }))
  }
}
