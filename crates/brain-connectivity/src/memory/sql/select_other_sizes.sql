SELECT EXISTS (SELECT FROM swarm_memory WHERE dimensions < $1)
    OR EXISTS (SELECT FROM swarm_memory WHERE dimensions > $1) AS other_sizes
