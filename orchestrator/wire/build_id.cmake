# Writes OUT (a C file) with a digest over all sources below SOURCE_DIR/orchestrator that the agent is made of: an
# orchestrator and an agent recognise each other by it.
file(GLOB sources RELATIVE ${SOURCE_DIR}
  ${SOURCE_DIR}/orchestrator/base/*.[ch] ${SOURCE_DIR}/orchestrator/manifest/*.[ch]
  ${SOURCE_DIR}/orchestrator/wire/*.[ch] ${SOURCE_DIR}/orchestrator/pack/*.[ch]
  ${SOURCE_DIR}/orchestrator/clear/*.[ch] ${SOURCE_DIR}/orchestrator/agent/*.[ch])
list(SORT sources)
set(all "version ${VERSION}\n")
foreach(source ${sources})
  file(SHA256 ${SOURCE_DIR}/${source} digest)
  string(APPEND all "${digest}  ${source}\n")
endforeach()
string(SHA256 id "${all}")
string(SUBSTRING ${id} 0 32 id)
file(WRITE ${OUT} "#include \"wire.h\"\n\nconst char *wire_build_id(void) { return \"${id}\"; }\n")
