// Runs AsyncWorkers on a thread pool of its own instead of napi_async_work: jobs block inside librdkafka
// for seconds, and the runtimes' pools have as few as four threads, which file access needs, too.
#include <nan.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <system_error>
#include <thread>

namespace Nan {

namespace {

// glibc returns memory to the system only from the end of an arena, and keeps free memory below used
// memory. A consumer that has fetched ahead leaves some MiB of it, each time.
void GiveMemoryBack() {
#ifdef __GLIBC__
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kInterval{30};
  static std::atomic<Clock::rep> last{Clock::now().time_since_epoch().count()};
  Clock::rep before = last.load();
  const Clock::time_point now = Clock::now();
  if (now - Clock::time_point(Clock::duration(before)) < kInterval) return;
  if (last.compare_exchange_strong(before, now.time_since_epoch().count())) malloc_trim(0);
#endif
}

}  // namespace

class WorkerPool {
 public:
  void Run(AsyncWorker* worker) {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(worker);
    if (queue_.size() > idle_ && threads_ < kMaxThreads) {
      StartThread();
    } else {
      work_arrived_.notify_one();
    }
  }

 private:
  static constexpr size_t kMaxThreads = 64;
  static constexpr std::chrono::seconds kIdleTime{30};

  void StartThread() {
    try {
      std::thread([this] { Work(); }).detach();
      threads_++;
    } catch (const std::system_error&) {
      // The system has no more threads: the work waits for an existing one.
      if (threads_ == 0) {
        queue_.pop_back();
        throw;
      }
    }
  }

  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      while (queue_.empty()) {
        idle_++;
        const std::cv_status status = work_arrived_.wait_for(lock, kIdleTime);
        idle_--;
        if (status == std::cv_status::timeout && queue_.empty()) {
          threads_--;
          return;
        }
      }
      AsyncWorker* worker = queue_.front();
      queue_.pop_front();
      lock.unlock();
      worker->Execute();
      worker->completion_.environment->Post(&worker->completion_);
      GiveMemoryBack();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::deque<AsyncWorker*> queue_;
  size_t idle_ = 0;
  size_t threads_ = 0;
};

void AsyncQueueWorker(AsyncWorker* worker) {
  static auto* pool = new WorkerPool();  // Never freed, since its threads are detached.
  worker->completion_.environment = host::current_environment;
  host::current_environment->Ref();
  pool->Run(worker);
}

void AsyncWorker::Completion::Run() {
  struct DestroyAtEnd {
    AsyncWorker* worker;
    ~DestroyAtEnd() { worker->Destroy(); }
  };
  const DestroyAtEnd destroy{worker};
  environment->Unref();
  worker->WorkComplete();
}

void AsyncWorker::WorkComplete() {
  if (has_failed_) {
    HandleErrorCallback();
  } else {
    HandleOKCallback();
  }
  delete callback;
  callback = nullptr;
}

void AsyncWorker::HandleErrorCallback() {
  v8::Local<v8::Value> arguments[] = {Error(ErrorMessage())};
  callback->Call(1, arguments);
}

}  // namespace Nan
