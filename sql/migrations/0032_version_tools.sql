-- The tools of a version, for whoever reads the table: [{name, description, inputSchema}], in the order in which they are
-- sent. Null: made before there was this column; the source says. Rows never change, so none is filled in.
alter table prompt_versions add column tools json;
