#include "study/runs_csv.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "data/synthetic_source.h"

using namespace rung;

namespace {

RunConfig small() {
  RunConfig config;
  config.data.path = "synthetic";
  config.model.width = 32, config.model.depth = 2, config.model.context = 16;
  config.train.batch_tokens = 64, config.train.tokens = 6400;
  return config;
}

MemberResult outcome(uint64_t seed, double loss) {
  MemberResult result{.config = small(), .loss = loss, .standard_error = 0.01};
  result.config.seed = seed;
  return result;
}

}  // namespace

TEST_CASE("a record holds the run's counts, and reads back identically") {
  const auto source = open_source(small().data, "");
  const Schedule schedule = make_schedule(small().train, 100);
  const HeldOut held_out{.bytes_per_token = 2.0, .unigram_loss = 5.0};
  RunRecord r = make_record(outcome(7, 3.25), schedule, *source, held_out);
  r.run = "runs/a, \"b\"", r.kind = "ladder", r.seconds = 0.1;
  const int64_t v = source->vocabulary(), body = 2 * (4 * 32 * 32 + 3 * 32 * 96);
  CHECK(r.N == body + 32 * v);
  CHECK(r.N_total == body + 64 * v);
  CHECK(r.D == 6400);
  CHECK(r.branch_step == 70);
  CHECK(r.C_6ND == doctest::Approx(6.0 * static_cast<double>(r.N) * 6400.0));
  // 3 x (2 N + attention 2 (T + 1) width a layer) a token
  CHECK(r.C == doctest::Approx(3.0 * 6400.0 * (2.0 * static_cast<double>(r.N) + 2 * 2 * 17 * 32)));
  CHECK(r.bits_per_byte == doctest::Approx(3.25 / 0.6931471805599453 / 2.0));
  CHECK(r.L_unigram == doctest::Approx(-1.75));
  const std::string text = to_csv({&r, 1});
  const auto back = from_csv(text, "runs.csv");
  REQUIRE(back.size() == 1);
  CHECK(to_csv(back) == text);
  CHECK(back[0].run == r.run);
  CHECK(back[0].seed == 7);
  CHECK(std::isnan(back[0].seed_sd));
  CHECK(
      text.starts_with("run,member,kind,status,used,width,depth,context,vocabulary,mixer,ffn,"
                       "parametrisation,optimizer,precision,seed,lr,weight_decay,batch_tokens,"
                       "steps,branch_step,N,N_total,N_embedding,N_readout,N_active,D,D_unique,C,"
                       "C_6ND,L,L_se,seed_sd,bits_per_byte,L_unigram,seconds\n"));
}

TEST_CASE("diverged members are unused and have no loss") {
  const auto source = open_source(small().data, "");
  MemberResult result = outcome(1, NAN);
  result.status = MemberStatus::diverged;
  const RunRecord r = make_record(result, make_schedule(small().train, 100), *source, {});
  CHECK(r.status == "diverged");
  CHECK(!r.used);
  CHECK(std::isnan(from_csv(to_csv({&r, 1}), "x")[0].L));
}

TEST_CASE("seed_sd is that of a point's seeds, whatever of it the table has a column for") {
  const auto source = open_source(small().data, "");
  const Schedule schedule = make_schedule(small().train, 100);
  std::vector<RunRecord> records;
  std::vector<std::string> points;
  const auto add = [&](double loss, const RunConfig& config) {
    MemberResult result = outcome(config.seed, loss);
    result.config = config;
    records.push_back(make_record(result, schedule, *source, {}));
    points.push_back(point_text(config));
  };
  for (const double alpha : {1.0, 2.0})
    for (const uint64_t seed : {1, 2}) {
      RunConfig config = small();
      config.seed = seed;
      config.multipliers.alpha_res = alpha;  // no column
      add(3.0 * alpha + 0.2 * static_cast<double>(seed), config);
    }
  RunConfig other = small();
  other.train.lr *= 2.0;
  add(3.0, other);
  fill_seed_sd(records, points);
  for (size_t i = 0; i < 4; ++i) CHECK(records[i].seed_sd == doctest::Approx(0.1414213562));
  CHECK(std::isnan(records[4].seed_sd));
  records[3].steps = 50;  // a branch of its own
  records[2].seed_sd = records[3].seed_sd = NAN;
  fill_seed_sd(records, points);
  CHECK(std::isnan(records[2].seed_sd));
}

TEST_CASE("damaged tables are refused with their line") {
  CHECK_THROWS_AS(from_csv("", "runs.csv"), Error);
  CHECK_THROWS_WITH(from_csv("run,N\na,1\nb\n", "runs.csv"),
                    doctest::Contains("runs.csv, line 3, has 1 cells"));
  CHECK_THROWS_WITH(from_csv("run,N\na,x1\n", "runs.csv"), doctest::Contains("Received x1"));
  CHECK(from_csv("N,colour\n5,red\n", "runs.csv")[0].N == 5);
}
