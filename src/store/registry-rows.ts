/** Versions, labels, ledger rows and keys between their domain shape and their rows. */
import { z } from 'zod';
import type { HeldLabel } from '../application/registry-store.ts';
import { type ApiKey, scopeSchema } from '../domain/api-key.ts';
import type { JsonObject } from '../domain/json.ts';
import {
  type ArchiveFact,
  type Deployment,
  deploymentKinds,
  type Label,
  type NewPromptVersion,
  type Parameters,
  type PromptVersion,
} from '../domain/prompt-version.ts';
import type { Argument, Row } from './query-catalog.ts';

const text = z.string().nullable();
/** Passed as it is: a zod record would drop a key named `__proto__`. */
const jsonObject = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null);

const versionSchema = z.object({
  id: z.number(),
  name: z.string(),
  version: z.number(),
  model: z.string(),
  parameters: z.custom<Parameters>((value) => typeof value === 'object' && value !== null),
  messages: z.array(
    z.object({ role: z.enum(['system', 'user', 'assistant', 'history']), template: z.string() }),
  ),
  input_schema: jsonObject,
  output_format: z.enum(['text', 'json']),
  output_schema: jsonObject.nullable(),
  checksum: z.string(),
  description: text,
  author: text,
  source: z.string(),
  partials: z.record(z.string(), z.string()),
  path: text,
  git_commit: text,
  git_message: text,
  metadata: jsonObject,
  registry_revision: z.number(),
  created_at: z.date(),
});

export function toPromptVersion(row: Row): PromptVersion {
  const parsed = versionSchema.parse(row);
  return {
    id: parsed.id,
    name: parsed.name,
    version: parsed.version,
    model: parsed.model,
    parameters: parsed.parameters,
    messages: parsed.messages,
    inputSchema: parsed.input_schema,
    outputFormat: parsed.output_format,
    outputSchema: parsed.output_schema,
    checksum: parsed.checksum,
    description: parsed.description,
    author: parsed.author,
    source: parsed.source,
    partials: parsed.partials,
    path: parsed.path,
    gitCommit: parsed.git_commit,
    gitMessage: parsed.git_message,
    metadata: parsed.metadata,
    revision: parsed.registry_revision,
    createdAt: parsed.created_at,
  };
}

/** The arguments of `insertVersion`. The two prompt columns are there for people who read the table. */
export function fromPromptVersion(version: NewPromptVersion, createdBy: string): Argument[] {
  const first = (role: string) => version.messages.find((message) => message.role === role)?.template ?? null;
  return [
    version.name,
    version.version,
    version.model,
    first('system'),
    first('user'),
    JSON.stringify(version.messages),
    version.parameters.temperature ?? null,
    version.parameters.maxOutputTokens ?? null,
    JSON.stringify(version.parameters),
    JSON.stringify(version.inputSchema),
    version.outputSchema && JSON.stringify(version.outputSchema),
    version.outputFormat,
    version.checksum,
    version.description,
    version.author,
    version.source,
    JSON.stringify(version.partials),
    version.path,
    version.gitCommit,
    version.gitMessage,
    JSON.stringify(version.metadata),
    createdBy,
    JSON.stringify(version.tools),
  ];
}

const labelSchema = z.object({
  prompt_name: z.string(),
  label: z.string(),
  version: z.number(),
  moved_at: z.date(),
});

export function toLabel(row: Row): Label {
  const parsed = labelSchema.parse(row);
  return {
    promptName: parsed.prompt_name,
    label: parsed.label,
    version: parsed.version,
    movedAt: parsed.moved_at,
  };
}

const deploymentSchema = z.object({
  id: z.number(),
  prompt_name: z.string(),
  label: z.string(),
  kind: z.enum(deploymentKinds),
  from_version: z.number().nullable(),
  to_version: z.number(),
  actor: z.string(),
  reason: text,
  git_commit: text,
  evaluation_id: z.number().nullable(),
  created_at: z.date(),
});

export function toDeployment(row: Row): Deployment {
  const parsed = deploymentSchema.parse(row);
  return {
    id: parsed.id,
    promptName: parsed.prompt_name,
    label: parsed.label,
    kind: parsed.kind,
    fromVersion: parsed.from_version,
    toVersion: parsed.to_version,
    actor: parsed.actor,
    reason: parsed.reason,
    gitCommit: parsed.git_commit,
    evaluationId: parsed.evaluation_id,
    createdAt: parsed.created_at,
  };
}

/** What a rollback derives its target from. */
export function toMove(row: Row): Pick<Deployment, 'kind' | 'toVersion'> {
  const { kind, to_version } = deploymentSchema.pick({ kind: true, to_version: true }).parse(row);
  return { kind, toVersion: to_version };
}

/** A ledger row with whether its label was gated at the time that was asked for. */
export function toHeldLabel(row: Row): HeldLabel {
  return { deployment: toDeployment(row), gated: z.boolean().parse(row.gated) };
}

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  hash: z.string(),
  scopes: z.array(scopeSchema),
  prompts: z.array(z.string()).nullable(),
  labels: z.array(z.string()).nullable(),
  raw: z.boolean().nullable(),
  created_at: z.date(),
  created_by: z.string(),
  revoked_at: z.date().nullable(),
});

export function toApiKey(row: Row): ApiKey {
  const parsed = keySchema.parse(row);
  return {
    id: parsed.id,
    name: parsed.name,
    prefix: parsed.prefix,
    hash: parsed.hash,
    scopes: parsed.scopes,
    limits: {
      prompts: parsed.prompts,
      labels: parsed.labels,
      ...(parsed.raw === null ? {} : { raw: parsed.raw }),
    },
    createdAt: parsed.created_at,
    createdBy: parsed.created_by,
    revokedAt: parsed.revoked_at,
  };
}

export function fromApiKey(key: ApiKey): Argument[] {
  return [
    key.id,
    key.name,
    key.prefix,
    key.hash,
    JSON.stringify(key.scopes),
    key.limits.prompts && JSON.stringify(key.limits.prompts),
    key.limits.labels && JSON.stringify(key.limits.labels),
    key.limits.raw ?? null,
    key.createdAt,
    key.createdBy,
    key.revokedAt,
  ];
}

const archiveSchema = z.object({
  prompt_name: z.string(),
  version: z.number().nullable(),
  archived: z.boolean(),
  actor: z.string(),
  reason: text,
  created_at: z.date(),
});

export function toArchiveFact(row: Row): ArchiveFact {
  const { prompt_name, created_at, ...parsed } = archiveSchema.parse(row);
  return { promptName: prompt_name, createdAt: created_at, ...parsed };
}
