/* How the heap of the keelson binary behaves: jemalloc reads this when it starts (jemalloc(3), TUNING). It is linked into the
 * binary itself, so that it holds wherever and however that is built; the environment (_RJEM_MALLOC_CONF) comes after it.
 *
 * One arena, because each daemon has one or two busy threads and every further arena keeps megabytes that nobody uses; small
 * caches per thread; free pages go back after a twentieth of a second. */
const char *_rjem_malloc_conf = "narenas:1,tcache_max:4096,dirty_decay_ms:50,muzzy_decay_ms:0";
