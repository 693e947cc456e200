-- The median and the 99th percentile, in milliseconds, of what came over HTTP and over the stream, and of the
-- assignments that follow from each.
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY stored_ms) FILTER (WHERE NOT over_stream),
       percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY stored_ms) FILTER (WHERE over_stream),
       percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY assigned_ms) FILTER (WHERE NOT over_stream),
       percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY assigned_ms) FILTER (WHERE over_stream)
FROM (SELECT created.stream_entry_id IS NOT NULL AS over_stream,
             extract(epoch FROM created.stored_at - created.created_at)::float8 * 1000 AS stored_ms,
             extract(epoch FROM assigned.stored_at - created.created_at)::float8 * 1000 AS assigned_ms
      FROM swarm_events AS created
      LEFT JOIN swarm_events AS assigned
             ON assigned.tenant_id = 'default' AND assigned.swarm_id = $1
            AND assigned.event_type = 'task.assigned' AND assigned.causation_id = created.event_id
      WHERE created.tenant_id = 'default' AND created.swarm_id = $1 AND created.event_type = 'task.created'
     ) AS seen
