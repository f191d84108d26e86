# `./rung test`: the quick tests, the slow ones, then the torch-free layers under sanitizers.

# Sums what CTest, doctest and pytest print: cases where a test reports them, else one for the test itself.
count_results='
  function pytest(line, what) { return match(line, "[0-9]+ " what) ? substr(line, RSTART) + 0 : 0 }
  { line = $0; sub(/^[0-9]+: /, "", line); gsub(/\033\[[0-9;]*m/, "", line) }
  line ~ /^\[doctest\] test cases:/ {
    split($1, id, ":"); split(line, part, "|")
    passed = part[2] + 0; failed = part[3] + 0; cases[id[1]] = passed; bad[id[1]] = failed
  }
  line ~ /[0-9]+ (passed|failed).* in [0-9.]+s/ {
    split($1, id, ":"); cases[id[1]] = pytest(line, "passed"); bad[id[1]] = pytest(line, "failed")
  }
  /Test +#[0-9]+:/ && !/^ *Start / {
    n = $0; sub(/.*Test +#/, "", n); sub(/:.*/, "", n)
    if ($0 ~ /\*\*\*Skipped|Not Run/) next
    p = (n in cases) ? cases[n] : 0; f = (n in bad) ? bad[n] : 0
    if ($0 ~ / Passed /) { if (!(n in cases)) p = 1 } else if (f == 0) f = 1
    total_passed += p; total_failed += f
  }
  END { print total_passed + 0, total_failed + 0 }'

# run_ctest FOLDER CTEST-ARGUMENT...: shows one line a test, and the output of those that fail.
run_ctest() {
  local folder=$1 log=$root/$1/ctest.log
  shift
  start_clock
  (cd "$root/$folder" && ctest -V "$@") >"$log" 2>&1
  local status=$? counts
  grep -E '^ *[0-9]+/[0-9]+ Test +#' "$log" >&2
  read -ra counts <<<"$(awk "$count_results" "$log")"
  ((passed += counts[0], failed += counts[1]))
  if ((status != 0)); then
    # Nothing counted and yet not well: CTest itself failed.
    ((counts[1] == 0)) && ((failed += 1))
    grep -E '(ERROR|FATAL|FAILED|TEST CASE|values:|CHECK|REQUIRE|runtime error|SUMMARY|Sanitizer|Unable to find)' "$log" |
      head -n 60 >&2
    say "details: $log"
  fi
  grep -iE '^[0-9]+: .*(skipped:|skipping)' "$log" | sed 's/^[0-9]*: */  /' | sort -u >&2
  done_with tests "$folder $*: ${counts[0]} passed, ${counts[1]} failed"
}

run_tests() {
  local quick=0 gpu=0 interchange=0 argument
  for argument in "$@"; do
    case $argument in
      --quick) quick=1 ;;
      --gpu) gpu=1 ;;
      --interchange) interchange=1 ;;
      *) refuse test "Unknown option. Received $argument. Use --quick, --gpu or --interchange."; exit 2 ;;
    esac
  done
  ((gpu)) && export RUNG_CUDA=1 RUNG_TEST_GPU=1
  passed=0 failed=0
  local without=absent
  ((gpu)) || without+='|gpu'
  ((interchange)) || without+='|interchange'
  prepare build 1 && build_target build all || exit 1
  if ((interchange)); then
    rival_environment interchange || exit 1
    export RUNG_TEST_PYTHON="$rival/bin/python" RUNG_TEST_INTERCHANGE=1
  fi
  run_ctest build -L quick -LE "$without" -j "$(jobs_count)"
  if ((!quick)); then
    prepare_python || without+='|python'
    run_ctest build -LE "quick|$without"
    run_sanitizers
  fi
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0 && passed > 0))
}

# The module for the tests of the Python package; fails where they cannot run.
prepare_python() {
  python_environment || return 1
  prepare build 2 && build_target build rung_python && return 0
  ((failed += 1))
  return 1
}

# Address and undefined-behaviour sanitizers over the layers that link no torch.
run_sanitizers() {
  torch_root=''
  local folder=build-sanitize targets
  if ! is_prepared "$folder" 1; then
    configure "$folder" --preset sanitize "-DRUNG_DEPS=${RUNG_DEPS:-}" "-DRUNG_CHART_JS=$(find_chart)" || { ((failed += 1)); return; }
    printf '%s\n1\n\n' "$(setup_key)" >"$root/$folder/.rung-setup"
  fi
  mapfile -t targets < <(ninja -C "$root/$folder" -t targets all | sed -n 's/^\([a-z]*_test\): phony$/\1/p')
  build_target "$folder" "${targets[@]}" || { ((failed += 1)); return; }
  export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
  # The scripts of the command line (cli, cli-fit, cli-plan) need the programs, which are built plain only; that of the
  # set-up has run.
  run_ctest "$folder" -L quick -E '^(cli|setup)' -j "$(jobs_count)"
}
