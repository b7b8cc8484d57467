/** What runs of many calls are asked with, and how far they are: the same for evaluations and batches of replays. */
import { z } from '@hono/zod-openapi';
import { parseMoney } from '../domain/money.ts';
import type { HttpContext } from './context.ts';
import { pathParam } from './route.ts';

const maxConcurrency = 32;
const defaultConcurrency = 4;
const dayMs = 86_400_000;

export const runLimits = {
  concurrency: z.number().int().min(1).max(maxConcurrency).default(defaultConcurrency),
  budget: z
    .string()
    .refine((text) => parseMoney(text) !== undefined, 'is a decimal, e.g. "0.50"')
    .optional()
    .openapi({ description: 'The most that the run may cost.' }),
  timeout_ms: z.number().int().min(1).max(dayMs).optional(),
  stream: z.boolean().default(false),
};

export const retryUnansweredSchema = z.boolean().default(false).openapi({
  description:
    'Of a run that is gone on with: make calls again that got no answer. They may be paid for twice.',
});

/** Counts of what became of those that are done stand beside it. */
export const runProgress = {
  done: z.number().int(),
  trials: z.number().int(),
  spent: z.string().openapi({ description: 'Known cost so far.' }),
};

/** What is no id finds nothing. */
const noRun = '00000000-0000-0000-0000-000000000000';

/** `{run}` of the path. */
export function readRunId(c: HttpContext): string {
  const run = pathParam(c, 'run');
  return z.uuid().safeParse(run).success ? run : noRun;
}
