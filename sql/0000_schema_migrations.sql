-- Which of the files here were applied. Applied first and without a compare-and-set, since it is what that needs.
CREATE TABLE IF NOT EXISTS {database}.schema_migrations {on_cluster}
(
    kind     LowCardinality(String) COMMENT 'ddl or view',
    name     String COMMENT 'the file''s number, or the view''s name',
    state    LowCardinality(String) COMMENT 'begun or done',
    checksum String,
    attempt  UInt32 COMMENT 'how often something of this name was done before',
    starter  String COMMENT 'who applied it',
    at       DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine}
ORDER BY (kind, name, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, enable_block_number_column = 1,
    non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'What was applied to this database, and by whom. Of several rows of one attempt the lowest _block_number holds.';
