// Two steps of a workflow `parts`, and the worker that runs them: node example.mjs

import { connect, work } from './worker.mjs'

const steps = {
  'parts/order': async ({ input }, step) => {
    await step.log(`ordering ${input.quantity}`)
    const number = await step.checkpoint('order', () => Math.floor(Math.random() * 1e6)) // made once, whoever dies
    return { number, quantity: input.quantity }
  },
  'parts/pack': ({ outputs }) => outputs.order.quantity,
}

const ending = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => ending.abort())

const post = connect(process.env.CASCADE_API_URL)
await work({ post, pool: 'node', steps, concurrency: 2, signal: ending.signal })
