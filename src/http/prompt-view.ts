/** The wire form of prompts, versions, deployments and labels. */
import { z } from '@hono/zod-openapi';
import type { LabelState } from '../application/read-labels.ts';
import type { PromptEntry } from '../application/registry-snapshot.ts';
import type { TestedVersion } from '../domain/gate.ts';
import { type Deployment, deploymentKinds, type PromptVersion } from '../domain/prompt-version.ts';

import { labelGateSchema, testedSchema, toLabelGateView, toTestedView } from './gate-view.ts';

const text = z.string().nullable();

/** Why, for the ledger: white space is no reason. */
export const reasonSchema = z.string().trim().min(1, 'say why').max(2_000);

export const promptSchema = z
  .object({
    name: z.string(),
    latest_version: z.number().int(),
    description: text,
    model: z.string(),
    labels: z.record(z.string(), z.number().int()),
    archived: z.boolean(),
  })
  .openapi('Prompt');

export function toPromptView(entry: PromptEntry): z.infer<typeof promptSchema> {
  const latest = entry.versions.get(entry.latestVersion) ?? [...entry.versions.values()].at(-1);
  return {
    name: entry.name,
    latest_version: entry.latestVersion,
    description: latest?.description ?? null,
    model: latest?.model ?? '',
    labels: Object.fromEntries([...entry.labels.values()].map((label) => [label.label, label.version])),
    archived: entry.archived,
  };
}

export const versionSchema = z
  .object({
    version: z.number().int(),
    model: z.string(),
    parameters: z.record(z.string(), z.unknown()),
    messages: z.array(z.object({ role: z.string(), template: z.string() })),
    input_schema: z.record(z.string(), z.unknown()),
    output_format: z.enum(['text', 'json']),
    output_schema: z.record(z.string(), z.unknown()).nullable(),
    checksum: z.string(),
    description: text,
    author: text,
    path: text.openapi({ description: 'Of its file; null when it came over HTTP.' }),
    git_commit: text,
    git_message: text,
    archived: z.boolean().openapi({ description: 'It, or its whole prompt: not newly deployed.' }),
    tested: testedSchema
      .nullable()
      .openapi({ description: 'Whether its suite has passed it as it would run now; null: not known.' }),
    created_at: z.iso.datetime(),
  })
  .openapi('PromptVersion');

export function toVersionView(
  version: PromptVersion,
  entry: PromptEntry,
  tested?: TestedVersion,
): z.infer<typeof versionSchema> {
  return {
    version: version.version,
    model: version.model,
    parameters: { ...version.parameters },
    messages: [...version.messages],
    input_schema: version.inputSchema,
    output_format: version.outputFormat,
    output_schema: version.outputSchema,
    checksum: version.checksum,
    description: version.description,
    author: version.author,
    path: version.path,
    git_commit: version.gitCommit,
    git_message: version.gitMessage,
    archived: entry.archived || entry.archivedVersions.has(version.version),
    tested: tested ? toTestedView(tested) : null,
    created_at: version.createdAt.toISOString(),
  };
}

export const versionDetailSchema = versionSchema
  .extend({
    prompt: z.string(),
    source: z.string().openapi({ description: 'The text of the definition.' }),
    partials: z
      .record(z.string(), z.string())
      .openapi({ description: 'Texts of what it includes, as they were when it was made.' }),
    metadata: z.record(z.string(), z.unknown()),
  })
  .openapi('PromptVersionDetail');

export function toVersionDetail(
  version: PromptVersion,
  entry: PromptEntry,
  tested?: TestedVersion,
): z.infer<typeof versionDetailSchema> {
  const { name: prompt, source, partials, metadata } = version;
  return { prompt, ...toVersionView(version, entry, tested), source, partials, metadata };
}

export const deploymentSchema = z
  .object({
    id: z.number().int(),
    prompt: z.string(),
    label: z.string(),
    kind: z.enum(deploymentKinds),
    from_version: z.number().int().nullable(),
    to_version: z.number().int(),
    actor: z.string(),
    reason: text,
    git_commit: text,
    evaluation_id: z
      .number()
      .int()
      .nullable()
      .openapi({ description: 'The evidence that a gate let it in on; null where none was asked for.' }),
    created_at: z.iso.datetime(),
  })
  .openapi('Deployment');

export function toDeploymentView(deployment: Deployment): z.infer<typeof deploymentSchema> {
  return {
    id: deployment.id,
    prompt: deployment.promptName,
    label: deployment.label,
    kind: deployment.kind,
    from_version: deployment.fromVersion,
    to_version: deployment.toVersion,
    actor: deployment.actor,
    reason: deployment.reason,
    git_commit: deployment.gitCommit,
    evaluation_id: deployment.evaluationId,
    created_at: deployment.createdAt.toISOString(),
  };
}

export const labelSchema = z
  .object({
    prompt: z.string(),
    label: z.string(),
    version: z.number().int(),
    since: z.iso.datetime(),
    gated: z.boolean(),
    gate: labelGateSchema
      .nullable()
      .openapi({ description: 'How it stands to its gate now; null of a time that is past.' }),
    deployment: deploymentSchema.openapi({ description: 'The move that put it there: who, why, from what.' }),
  })
  .openapi('Label');

export function toLabelView({ deployment, gated, gate }: LabelState): z.infer<typeof labelSchema> {
  const view = toDeploymentView(deployment);
  const { prompt, label, to_version: version, created_at: since } = view;
  return { prompt, label, version, since, gated, gate: gate && toLabelGateView(gate), deployment: view };
}
