/** One event of the demo shop, as a Kafka record. */
export interface DemoEvent {
  /** The customer, so that the events of one customer stay in order in one partition. */
  readonly key: string
  /** JSON. */
  readonly value: string
  /** Objects of one header each, in the record's order. */
  readonly headers: ReadonlyArray<{ readonly [name: string]: string }>
}

interface ShopVisit {
  readonly customer: string
  readonly country: string
  readonly traceId: string
  readonly basket: Item[]
  order: string
  stage: Stage
}

interface Item {
  readonly sku: string
  readonly name: string
  readonly quantity: number
  readonly price: number
}

type Stage = 'browsing' | 'ordered' | 'paid' | 'done'

type Product = readonly [sku: string, name: string, price: number]

const PRODUCTS: readonly [Product, ...Product[]] = [
  ['MUG-014', 'Stoneware mug, 350 ml', 14.5],
  ['TEA-201', 'Darjeeling first flush, 100 g', 18.9],
  ['LMP-077', 'Reading lamp, brass', 89],
  ['NTB-310', 'Dotted notebook, A5', 12.9],
  ['PEN-042', 'Fountain pen, fine nib', 46],
  ['BAG-118', 'Canvas tote bag', 24.9],
  ['CHR-009', 'Oak side chair', 219],
  ['PLT-255', 'Olive tree, 120 cm', 64.5],
  ['BLK-063', 'Merino blanket, 130 × 180 cm', 119],
  ['CUP-004', 'Espresso cups, set of 4', 32],
]
const COUNTRIES = ['DE', 'FR', 'NL', 'PL', 'SE', 'IT', 'ES', 'JP'] as const
const PAGES = [
  '/',
  '/new',
  '/sale',
  '/kitchen',
  '/living',
  '/stationery',
  '/search?q=gift',
] as const
const METHODS = ['card', 'paypal', 'invoice', 'apple_pay'] as const
const CARRIERS = ['DHL', 'PostNL', 'InPost', 'GLS'] as const

/** Customers in the shop at a time, which bounds the memory of the shop. */
const VISITS = 24

/**
 * An endless series of events of a small online shop: customers look around, fill baskets, order, pay
 * and get parcels. Two shops with one seed have equal events.
 */
export class DemoShop {
  readonly #random: () => number
  readonly #visits: ShopVisit[] = []
  #orders = 20_417

  constructor(seed = 1) {
    this.#random = mulberry32(seed)
    for (let index = 0; index < VISITS; index++) this.#visits.push(this.#newVisit())
  }

  /** @param at When the event happens, in milliseconds since 1970. */
  next(at: number): DemoEvent {
    const index = Math.floor(this.#random() * VISITS)
    const visit = this.#visits[index] ?? this.#newVisit()
    const body = this.#advance(visit)
    if (visit.stage === 'done') this.#visits[index] = this.#newVisit()
    return {
      key: visit.customer,
      value: JSON.stringify({ ...body, customer: visit.customer, at: new Date(at).toISOString() }),
      headers: [
        { 'content-type': 'application/json' },
        // W3C Trace Context: one trace for each visit, and one span for each event.
        { traceparent: `00-${visit.traceId}-${this.#hex(16)}-01` },
      ],
    }
  }

  #advance(visit: ShopVisit): object {
    if (visit.stage === 'ordered') return this.#pay(visit)
    if (visit.stage === 'paid') {
      visit.stage = 'done'
      const tracking = this.#hex(12).toUpperCase()
      return { type: 'order.shipped', order: visit.order, carrier: this.#one(CARRIERS), tracking }
    }
    const chance = this.#random()
    if (visit.basket.length > 0 && chance < 0.3) return this.#order(visit)
    if (chance < 0.65) {
      const path = this.#one(PAGES)
      return { type: 'page.viewed', path, country: visit.country, ms: this.#whole(40, 900) }
    }
    const [sku, name, price] = this.#one(PRODUCTS)
    if (chance < 0.82) return { type: 'product.viewed', sku, name, price, currency: 'EUR' }
    const item = { sku, name, quantity: this.#whole(1, 3), price }
    visit.basket.push(item)
    return { type: 'basket.item_added', ...item, currency: 'EUR' }
  }

  #order(visit: ShopVisit): object {
    visit.stage = 'ordered'
    visit.order = `ord-${this.#orders++}`
    const { order, basket: items, country } = visit
    return { type: 'order.placed', order, items, total: total(items), currency: 'EUR', country }
  }

  #pay(visit: ShopVisit): object {
    const { order } = visit
    const payment = { order, method: this.#one(METHODS), amount: total(visit.basket) }
    // The customer tries a declined payment again.
    if (this.#random() < 0.12) {
      return { type: 'payment.declined', ...payment, currency: 'EUR', reason: 'insufficient_funds' }
    }
    visit.stage = 'paid'
    return { type: 'payment.authorized', ...payment, currency: 'EUR' }
  }

  #newVisit(): ShopVisit {
    return {
      customer: `cust-${this.#whole(1_000, 9_999)}`,
      country: this.#one(COUNTRIES),
      traceId: this.#hex(32),
      basket: [],
      order: '',
      stage: 'browsing',
    }
  }

  #one<T>(list: readonly [T, ...T[]]): T {
    return list[Math.floor(this.#random() * list.length)] ?? list[0]
  }

  #whole(min: number, max: number): number {
    return min + Math.floor(this.#random() * (max - min + 1))
  }

  #hex(digits: number): string {
    let text = ''
    while (text.length < digits) text += this.#whole(0, 15).toString(16)
    return text
  }
}

function total(items: readonly Item[]): number {
  const cents = items.reduce((sum, item) => sum + Math.round(item.price * 100) * item.quantity, 0)
  return cents / 100
}

/** Mulberry32, a small and fast generator of random numbers that takes a seed, unlike `Math.random`. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
  }
}
