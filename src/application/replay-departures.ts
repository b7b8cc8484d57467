/** What of a replay is not as it was when the original ran: which part, and why. */
import { hashJson } from '../domain/canonical-json.ts';
import type { Definition } from '../domain/definition.ts';
import type { Execution, StoredExecution } from '../domain/execution.ts';
import type { ExecuteDependencies } from './execute-prompt.ts';
import type { ReplayTarget } from './replay-execution.ts';

/** One thing that is not as it was when the original ran. */
export interface Departure {
  readonly part: 'prompt' | 'variables' | 'messages' | 'provider' | 'model' | 'parameters';
  readonly reason: string;
}

/** What makes the new call another one than the old, whether it was asked for or happened since. */
export function findDepartures(
  { providers, snapshot }: Pick<ExecuteDependencies, 'providers' | 'snapshot'>,
  original: StoredExecution,
  instead: ReplayTarget,
  now: Pick<Definition, 'model' | 'parameters'> & {
    readonly renderedHash: string;
    readonly variablesHash: string | null;
  },
): Departure[] {
  const departures: Departure[] = [];
  const add = (part: Departure['part'], reason: string) => departures.push({ part, reason });
  if (instead.version !== undefined && instead.version !== original.promptVersion) {
    add('prompt', `version ${instead.version} instead of ${original.promptVersion ?? 'none'}`);
  }
  if (instead.label !== undefined) {
    const holds = snapshot.find(original.promptName)?.labels.get(instead.label)?.version;
    if (holds !== original.promptVersion) {
      add(
        'prompt',
        `${instead.label} holds version ${holds ?? 'none'}, and it was ${original.promptVersion ?? 'none'}`,
      );
    }
  }
  if (instead.definition) add('prompt', 'a definition that is no version of the registry');
  const isSamePrompt = departures.length === 0;
  if (isSamePrompt && original.renderedHash !== null && original.variablesHash !== now.variablesHash) {
    add('variables', 'the variables of the row are not those that were rendered then: their hashes differ');
  }
  if (original.renderedHash === null) {
    add('messages', `the original was refused before it was rendered (${original.errorCode})`);
  } else if (original.renderedHash !== now.renderedHash) {
    add('messages', 'the messages are not those that were sent: their hashes differ');
  }
  const route = providers.route(now.model);
  if (original.provider !== null && route?.provider !== original.provider) {
    add(
      'provider',
      `${original.provider} answered, and now ${route ? `${route.provider} does` : 'none is configured'}`,
    );
  }
  if (original.model !== null && route && route.model !== original.model) {
    add('model', `${route.model} instead of ${original.model}`);
  }
  if (route && original.provider !== null && route.simulated !== original.simulated) {
    add(
      'provider',
      route.simulated ? 'a simulated provider answers now' : 'a simulated provider answered then',
    );
  }
  if (!sameParameters(original, now)) add('parameters', 'the parameters are not those of the original');
  return departures;
}

/** That a model is not there any more only its provider knows, and says it only when it is asked. */
export function findRetired(original: Execution, after: Execution): Departure | null {
  const { provider, model, errorCode, attempts } = after;
  const isSame = original.provider === provider && original.model === model;
  if (!isSame || original.status !== 'succeeded' || errorCode !== 'provider_misconfigured') return null;
  if (attempts.at(-1)?.httpStatus !== 404) return null;
  return {
    part: 'model',
    reason: `${model} answered then, and now ${provider} has no such model for us (HTTP 404): it was retired, or our access or the base URL changed`,
  };
}

function sameParameters(original: StoredExecution, { parameters }: Pick<Definition, 'parameters'>): boolean {
  if (original.renderedHash === null) return true;
  return hashJson(original.parameters) === hashJson(parameters);
}
