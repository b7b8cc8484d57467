/** What an evaluation runs: which suite, on which version, judged by whom, beside which other. */
import type { Actor } from '../domain/api-key.ts';
import { parseDefinition } from '../domain/definition.ts';
import { PromptgateError } from '../domain/errors.ts';
import { type CompiledSuite, compileSuite } from '../domain/evaluation-suite.ts';
import { partialsFrom } from '../domain/template-includes.ts';
import { authorizeAnyVersion, authorizeLabel, authorizePrompt } from './authorize.ts';
import type { EvaluateDependencies, EvaluateRequest } from './evaluate-version.ts';
import type { RunSubject } from './run-suite.ts';

export async function readSuite(
  deps: EvaluateDependencies,
  { promptName, suite = 'default', judge }: EvaluateRequest,
): Promise<CompiledSuite> {
  const defaults = { promptName, ...(judge === undefined ? {} : { judge }) };
  if (typeof suite !== 'string') {
    const compiled = compileSuite(suite.source, suite.path, suite.files, defaults);
    if (compiled.promptName === promptName) return compiled;
    throw new PromptgateError(
      'invalid_request',
      `${suite.path} is a suite of "${compiled.promptName}", not of "${promptName}".`,
    );
  }
  const registered = await deps.evaluations.findSuite(promptName, suite);
  if (!registered) {
    throw new PromptgateError(
      'not_found',
      `No suite "${suite}" is registered for "${promptName}". Write ${promptName}.eval.yaml beside the prompt, or name a file with --suite.`,
    );
  }
  const path = registered.path ?? `${promptName}.eval.yaml`;
  return compileSuite(registered.source, path, registered.files, defaults);
}

export function readSubject(deps: EvaluateDependencies, request: EvaluateRequest): RunSubject {
  const { actor, promptName, label, version, draft } = request;
  if ([label, version, draft].filter((said) => said !== undefined).length > 1) {
    throw new PromptgateError('invalid_request', 'Name a label, a version or a file: one of them.');
  }
  if (draft) {
    authorizeAnyVersion(actor);
    const definition = parseDefinition(draft.source, {
      path: draft.path,
      partial: partialsFrom(draft.partials),
    });
    if (definition.name === promptName) return { definition, version: null };
    throw new PromptgateError(
      'invalid_request',
      `${draft.path} is the prompt "${definition.name}", not "${promptName}".`,
    );
  }
  if (label !== undefined) authorizeLabel(actor, label);
  // What a label holds is executed by its number: it may move while the run lasts.
  authorizeAnyVersion(actor);
  const newest = deps.snapshot.find(promptName)?.latestVersion ?? 1;
  const resolved = deps.snapshot.resolve(
    promptName,
    label === undefined ? { version: version ?? newest } : { label },
    actor,
  );
  return { definition: resolved.definition, version: resolved.version.version };
}

export function readRegistered(
  deps: EvaluateDependencies,
  actor: Actor,
  name: string,
  version: number,
): RunSubject {
  authorizePrompt(actor, name);
  const { definition } = deps.snapshot.resolve(name, { version }, actor);
  return { definition, version };
}

export function readBaseline(
  deps: EvaluateDependencies,
  { actor, promptName }: EvaluateRequest,
  label: string,
  subject: RunSubject,
): RunSubject | null {
  authorizeLabel(actor, label);
  const held = deps.snapshot.find(promptName)?.labels.get(label)?.version;
  // Nothing to compare with: the first version of a prompt, or the very one that the label holds.
  if (held === undefined || held === subject.version) return null;
  return readRegistered(deps, actor, promptName, held);
}

/** What would make every case fail in the same way is said once, before anything is paid for. */
export function refuseImpossible(
  deps: EvaluateDependencies,
  suite: CompiledSuite,
  { definition }: RunSubject,
  judge: RunSubject | null,
): void {
  if (suite.hasScripts && deps.scripts.refusal !== null) {
    throw new PromptgateError('invalid_request', `The suite has \`javascript\`: ${deps.scripts.refusal}`);
  }
  for (const { model } of [definition, ...(judge ? [judge.definition] : [])]) {
    if (deps.providers.route(model)) continue;
    throw new PromptgateError('provider_misconfigured', `No configured provider takes the model "${model}".`);
  }
  const issues = suite.cases.flatMap(({ id, variables }) => {
    const checked = definition.validateVariables(variables);
    return checked.valid
      ? []
      : checked.issues.map(({ path, message }) => ({ path: `case ${id}: ${path}`, message }));
  });
  if (issues.length > 0) {
    const [first] = issues;
    throw new PromptgateError(
      'invalid_variables',
      `Variables of the suite do not fit version ${definition.version} of "${definition.name}": ${first!.path} ${first!.message}.`,
      { issues: issues.slice(0, 20) },
    );
  }
  if (judge && !judge.definition.validateVariables({ rubric: 'x', output: 'x' }).valid) {
    throw new PromptgateError(
      'invalid_request',
      `The judge "${judge.definition.name}" has to take two texts, \`rubric\` and \`output\`, and nothing else that is required.`,
    );
  }
}
